// An application that tells whose access token it is sent, with nothing but the keys that Latchkey publishes.
//
//   ISSUER=http://localhost:3000 PORT=4000 node verify.mjs
//
// Nobody is asked about a single token, so what happened after it was signed is not known here: a session that was ended, or an
// account that was disabled, is believed until the token expires, and `confirmed` stays false until the client refreshes.
import { createServer } from 'node:http';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';

/** The PUBLIC_URL of Latchkey to the letter, for that is what its tokens name as their issuer and audience. */
const issuer = process.env.ISSUER ?? 'http://localhost:3000';
const port = Number(process.env.PORT ?? 4000);

const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`), {
  // A new key is published ten minutes before it signs.
  cacheMaxAge: 300_000,
  // One that is unknown all the same is looked for at once, but forgers must not make us ask all the time.
  cooldownDuration: 1000,
});

const demands = {
  algorithms: ['ES256'],
  typ: 'at+jwt',
  issuer,
  audience: issuer,
  requiredClaims: ['exp', 'iat', 'sub', 'sid'],
  clockTolerance: 5, // seconds
};

/** Errors that say nothing about a token: its key could not be fetched. */
const outages = ['ERR_JOSE_GENERIC', 'ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID'];

/** The claims of a genuine token within its time; undefined for whatever else an `Authorization` header holds. */
async function userOf(authorization = '') {
  const [, token] = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization) ?? [];
  if (token === undefined) return undefined;
  try {
    return (await jwtVerify(token, keys, demands)).payload;
  } catch (error) {
    if (error instanceof errors.JOSEError && !outages.includes(error.code)) return undefined;
    throw error;
  }
}

async function answerTo({ authorization }) {
  try {
    const user = await userOf(authorization);
    if (user === undefined) return [401, { code: 'unauthenticated' }];
    // Nobody knows yet whether the address is theirs.
    if (user.confirmed !== true) return [403, { code: 'unconfirmed' }];
    return [200, { user: user.sub, username: user.username }];
  } catch (error) {
    console.error(error);
    return [503, { code: 'unavailable' }];
  }
}

const server = createServer(async ({ headers }, response) => {
  const [status, body] = await answerTo(headers);
  if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
});
server.listen(port, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
