// How many passwords the library alone hashes or verifies in a second: `node raw-argon2.js verify|hash SECONDS CONCURRENCY`.
// https://github.com/napi-rs/node-rs/tree/main/packages/argon2
import './production.js';
import { hashPassword, verifyPassword } from './argon2id.js';

const password = 'correct horse battery staple';
const passwordHash = await hashPassword(password);
const works = {
  hash: () => hashPassword(password),
  verify: () => verifyPassword(passwordHash, password),
};

const [mode, seconds, concurrency = '1'] = process.argv.slice(2);
const work = works[mode];
if (work === undefined || !(Number(seconds) > 0)) throw new Error('Usage: node raw-argon2.js verify|hash SECONDS [CONCURRENCY]');

await repeat(work, 1);
console.log(JSON.stringify({ perSecond: await repeat(work, Number(seconds)) }));

async function repeat(work, durationSeconds) {
  const start = performance.now();
  let done = 0;
  const worker = async () => {
    while (performance.now() - start < durationSeconds * 1000) {
      await work();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: Number(concurrency) }, worker));
  return done / ((performance.now() - start) / 1000);
}
