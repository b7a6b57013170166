// Express with Passport, and its sessions in PostgreSQL, with the settings of their documentation:
// https://expressjs.com/en/advanced/best-practice-performance.html
// https://expressjs.com/en/resources/middleware/session.html
// https://github.com/voxpelli/node-connect-pg-simple#usage
// https://www.passportjs.org/concepts/authentication/sessions/
// https://www.passportjs.org/packages/passport-local/
import './production.js';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import connectPgSimple from 'connect-pg-simple';
import express from 'express';
import session from 'express-session';
import passport from 'passport';
import { Strategy as LocalStrategy } from 'passport-local';
import pg from 'pg';
import { confirmed, unauthorized } from './answers.js';
import { hashPassword, verifyPassword } from './argon2id.js';
import { listen, ready } from './listening.js';

const thirtyDaysInMs = 30 * 24 * 60 * 60 * 1000;

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
await pool.query('CREATE TABLE IF NOT EXISTS users (id uuid PRIMARY KEY, email text NOT NULL UNIQUE, password_hash text NOT NULL)');

const PgStore = connectPgSimple(session);
const store = new PgStore({ pool, createTableIfMissing: true });

passport.use(new LocalStrategy({ usernameField: 'email' }, logIn));
passport.serializeUser((user, done) => done(null, user.id));
passport.deserializeUser(findUser);

const app = express();
app.disable('x-powered-by');
app.disable('etag');
app.use(express.json());
app.use(
  session({
    store,
    secret: process.env.SESSION_SECRET ?? 'a secret that is the same in each run of the benchmark',
    resave: false,
    saveUninitialized: false,
    cookie: { secure: false, maxAge: thirtyDaysInMs },
  }),
);
app.use(passport.session());
app.post('/register', register);
app.post('/login', passport.authenticate('local'), answerUser);
app.get('/guarded', requireUser, answerGuarded);

const server = createServer(app);
ready(await listen(server), async () => {
  server.closeAllConnections();
  store.close();
  await pool.end();
});

async function logIn(email, password, done) {
  try {
    const { rows } = await pool.query('SELECT id, email, password_hash FROM users WHERE email = $1', [email]);
    const user = rows[0];
    const matches = user !== undefined && (await verifyPassword(user.password_hash, password));
    done(null, matches && { id: user.id, email: user.email });
  } catch (error) {
    done(error);
  }
}

async function findUser(id, done) {
  try {
    const { rows } = await pool.query('SELECT id, email FROM users WHERE id = $1', [id]);
    done(null, rows[0] ?? false);
  } catch (error) {
    done(error);
  }
}

async function register(request, response) {
  const { email, password } = request.body ?? {};
  if (typeof email !== 'string' || typeof password !== 'string') {
    response.status(400).json({ message: 'An e-mail address and a password are needed.' });
    return;
  }
  const user = { id: randomUUID(), email };
  const { rowCount } = await pool.query('INSERT INTO users (id, email, password_hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [
    user.id,
    email,
    await hashPassword(password),
  ]);
  if (rowCount === 0) response.status(409).json({ message: 'There is an account for this address.' });
  else response.status(201).json(user);
}

function answerUser(request, response) {
  response.json(request.user);
}

function requireUser(request, response, next) {
  if (request.isAuthenticated()) next();
  else response.status(401).json(unauthorized);
}

function answerGuarded(_request, response) {
  response.json(confirmed);
}
