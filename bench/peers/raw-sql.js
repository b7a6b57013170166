// What PostgreSQL answers in a second over a pool of ten connections of `pg`, ten at a time, to nothing but the statements that
// a request of the service needs, prepared: `node raw-sql.js me|refresh|confirm SECONDS`. The limit of such a request.
import pg from 'pg';

const [what, seconds] = process.argv.slice(2);
const warmUpMs = 1000;
const lanes = 10;
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: lanes });

const ids = {
  users: await idsOf('select id from users where confirmed_at is not null limit 10000'),
  sessions: await idsOf('select id from sessions limit 10000'),
  newcomers: await idsOf('select id from users where confirmed_at is null limit 10000'),
};
const userById = ['user_by_id', 'select * from users where id = $1'];
const liveSession = [
  'live_session',
  `select s.*, u.* from sessions s join users u on u.id = s.user_id
   where s.id = $1 and s.expires_at > now() and s.idle_expires_at > now() and u.disabled_at is null`,
];
const rotated = [
  'rotated_session',
  `update sessions s set refresh_counter = refresh_counter, rotated_at = now(), last_used_at = now(),
     idle_expires_at = least(expires_at, idle_expires_at), client = client, ip = ip, user_agent = user_agent
   from users u where s.id = $1 and s.expires_at > now() and s.idle_expires_at > now() and u.id = s.user_id and u.disabled_at is null
   returning s.*, u.*`,
];
const confirmed = [
  'confirmed_user',
  `with confirmed as (update users set confirmed_at = confirmed_at where id = $1 and disabled_at is null returning *),
     recorded as (insert into events (id, user_id, type, at) select gen_random_uuid(), id, 'confirmed', now() from confirmed)
   select * from confirmed`,
];

const requests = {
  me: (turn) => ask(pool, userById, [pick(ids.users, turn)]),
  refresh: (turn) => ask(pool, rotated, [pick(ids.sessions, turn)]),
  async confirm(turn) {
    const id = pick(ids.newcomers, turn);
    await ask(pool, userById, [id]);
    await ask(pool, liveSession, [pick(ids.sessions, turn)]);
    await ask(pool, confirmed, [id]);
  },
};

let turn = 0;
const request = requests[what];
await repeat(warmUpMs);
const from = performance.now();
const count = await repeat(Number(seconds) * 1000);
console.log(JSON.stringify({ perSecond: (count * 1000) / (performance.now() - from) }));
await pool.end();

async function repeat(forMs) {
  const end = performance.now() + forMs;
  let done = 0;
  const lane = async () => {
    while (performance.now() < end) {
      turn += 1;
      await request(turn);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return done;
}

function ask(client, [name, text], values) {
  return client.query({ name, text, values });
}

async function idsOf(query) {
  return (await pool.query(query)).rows.map(({ id }) => id);
}

function pick(all, at) {
  return all[at % all.length];
}
