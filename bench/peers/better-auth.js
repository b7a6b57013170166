// Better Auth on node:http and PostgreSQL, with the settings of its documentation:
// https://www.better-auth.com/docs/installation
// https://www.better-auth.com/docs/authentication/email-password
// https://www.better-auth.com/docs/concepts/session-management#cookie-cache
// https://www.better-auth.com/docs/concepts/database#programmatic-migrations
import './production.js';
import { createServer } from 'node:http';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { fromNodeHeaders, toNodeHandler } from 'better-auth/node';
import pg from 'pg';
import { confirmed, unauthorized } from './answers.js';
import { hashPassword, verifyPassword } from './argon2id.js';
import { host, listen, ready } from './listening.js';

const argon2id = {
  hash: hashPassword,
  verify: ({ hash, password }) => verifyPassword(hash, password),
};

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
const server = createServer();
const port = await listen(server);
const options = authOptions(`http://${host}:${port}`);

const { runMigrations } = await getMigrations(options);
await runMigrations();

const auth = betterAuth(options);
const handleAuth = toNodeHandler(auth);

server.on('request', (request, response) => {
  if (isGuarded(request)) answerGuarded(request, response).catch(() => response.writeHead(500).end());
  else handleAuth(request, response);
});

ready(port, async () => {
  server.closeAllConnections();
  await pool.end();
});

function authOptions(baseURL) {
  return {
    baseURL,
    trustedOrigins: [baseURL],
    secret: process.env.BETTER_AUTH_SECRET ?? 'a secret that is the same in each run of the benchmark',
    database: pool,
    emailAndPassword: {
      enabled: true,
      requireEmailVerification: false,
      ...(process.env.HASH === 'argon2id' && { password: argon2id }),
    },
    session: { cookieCache: { enabled: process.env.COOKIE_CACHE === 'on', maxAge: 300 } },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { level: 'error' },
  };
}

function isGuarded(request) {
  return request.method === 'GET' && request.url === '/guarded';
}

async function answerGuarded(request, response) {
  const { response: session, headers } = await auth.api.getSession({ headers: fromNodeHeaders(request.headers), returnHeaders: true });
  // A cached session that has become too old is sent anew.
  const cookies = headers.getSetCookie();
  if (cookies.length > 0) response.setHeader('set-cookie', cookies);
  response.statusCode = session ? 200 : 401;
  response.setHeader('content-type', 'application/json; charset=utf-8');
  response.end(JSON.stringify(session ? confirmed : unauthorized));
}
