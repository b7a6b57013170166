// What a flood of logins does to everybody else: see README.md. Usage, against a service that is running with
// RATE_LIMIT=off and its own mailbox: `node --import=./scripts/typescript.js bench/overload.ts http://localhost:3000 [PID]`.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { type Answer, ask, hangUp } from './ask.ts';

const [base, pid] = process.argv.slice(2);
if (base === undefined) throw new Error('the address of the service is missing');
const flood = 500;
const rounds = 3;
const lastingMs = 5000;
const people = 20;
const password = 'correct horse battery staple';
const tag = Date.now();

const quantile = (times: readonly number[], q: number): string =>
  `${(times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * q))] ?? 0).toFixed(1)} ms`;
const megabytes = () =>
  pid === undefined
    ? 'unknown'
    : `${(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024).toFixed(0)} MB`;

async function register(name: string): Promise<string> {
  const email = `${name}${tag}@example.com`;
  await ask(`${base}/auth/register`, { method: 'POST', body: { email, username: `${name}_${tag}`, password } });
  return email;
}

const logIn = (email: string) => ask(`${base}/auth/login`, { method: 'POST', body: { email, password } });

/** Whoever may use guarded routes. */
async function confirmed(): Promise<string> {
  const email = await register('ada');
  const { accessToken } = JSON.parse((await logIn(email)).text);
  const { mails } = JSON.parse((await ask(`${base}/dev/mail?wait=10`)).text) as { mails: { to: string; links: string[] }[] };
  const link = new URL(mails.find(({ to }) => to === email)?.links[0] ?? '');
  await ask(`${base}${link.pathname}`, { token: accessToken });
  return JSON.parse((await logIn(email)).text).accessToken;
}

/** Sends guarded requests at a steady rate while some work is done. */
async function meanwhile<Result>(token: string, work: () => Promise<Result>): Promise<{ guarded: Answer[]; result: Result }> {
  const child = fork(`${import.meta.dirname}/steady-requests.ts`, [`${base}/secret`, token]);
  await once(child, 'message');
  const result = await work();
  child.send('stop');
  const [guarded] = (await once(child, 'message')) as [Answer[]];
  return { guarded, result };
}

function report(what: string, answers: readonly Answer[]): void {
  const statuses = [...new Set(answers.map(({ status }) => status))].sort();
  const counts = statuses.map((each) => `${answers.filter(({ status }) => status === each).length} × ${each}`);
  const times = answers.map(({ ms }) => ms);
  console.log(`| ${what} | ${quantile(times, 0.5)} | ${quantile(times, 0.99)} | ${quantile(times, 1)} | ${counts.join(', ')} |`);
}

function reportFlood(what: string, { guarded, result: logins }: { guarded: readonly Answer[]; result: readonly Answer[] }): void {
  const refused = logins.filter(({ status }) => status !== 200);
  const entered = logins.filter(({ status }) => status === 200);
  report(`guarded requests, ${what}`, guarded);
  report('the logins that were let in', entered);
  report('the logins that were turned away', refused);
  if (refused.some(({ retryAfter }) => retryAfter === undefined)) throw new Error('a refusal does not say when to come back');
}

const crowd: string[] = [];
for (let index = 0; index < people; index += 1) crowd.push(await register(`crowd${index}x`));
const token = await confirmed();
const loginOf = (index: number) => logIn(crowd[index % people] ?? '');
const places = Array.from({ length: flood }, (_, index) => index);

console.log('| what | p50 | p99 | worst | answers |\n|---|---|---|---|---|');
report('guarded requests, alone', (await meanwhile(token, () => pause(lastingMs))).guarded);
const before = megabytes();
for (let round = 1; round <= rounds; round += 1)
  reportFlood(`during ${flood} logins at once (${round})`, await meanwhile(token, () => Promise.all(places.map(loginOf))));
const lasting = await meanwhile(token, async () => {
  const end = performance.now() + lastingMs;
  const answers: Answer[] = [];
  await Promise.all(
    places.map(async (place) => {
      while (performance.now() < end) answers.push(await loginOf(place));
    }),
  );
  return answers;
});
reportFlood(`while ${flood} log in again and again`, lasting);
console.log(`\nResident memory: ${before} before, ${megabytes()} after.`);
hangUp();
