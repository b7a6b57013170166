// What a flood of logins does to everybody else: see README.md. Usage, against a service that is running with
// RATE_LIMIT=off and its own mailbox: `node --import=./scripts/typescript.js bench/overload.ts http://localhost:3000 [PID]`.
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';

const [base, pid] = process.argv.slice(2);
if (base === undefined) throw new Error('the address of the service is missing');
const flood = 500;
const guardedPerSecond = 200;
const agent = new Agent({ keepAlive: true, maxSockets: 600 });
const password = 'correct horse battery staple';

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
  readonly ms: number;
}

function ask(method: string, path: string, { body, token }: { body?: object; token?: string } = {}): Promise<Answer> {
  const start = performance.now();
  const headers = {
    ...(body && { 'content-type': 'application/json' }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
  return new Promise((resolve, reject) => {
    const sent = request(base + path, { method, headers, agent }, async (answer) => {
      let text = '';
      for await (const chunk of answer) text += chunk;
      resolve({ status: answer.statusCode ?? 0, retryAfter: answer.headers['retry-after'], text, ms: performance.now() - start });
    });
    sent.on('error', reject);
    sent.end(body && JSON.stringify(body));
  });
}

const quantile = (times: readonly number[], q: number): string =>
  `${(times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * q))] ?? 0).toFixed(1)} ms`;
const megabytes = () =>
  pid === undefined
    ? 'unknown'
    : `${(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024).toFixed(0)} MB`;

/** Sends guarded requests at a steady rate, whether or not they are answered, until it is told to stop. */
async function steadily(token: string, isOver: () => boolean): Promise<Answer[]> {
  const answers: Promise<Answer>[] = [];
  const start = performance.now();
  while (!isOver()) {
    answers.push(ask('GET', '/secret', { token }));
    await pause(Math.max(0, start + (answers.length * 1000) / guardedPerSecond - performance.now()));
  }
  return Promise.all(answers);
}

const tag = Date.now();
async function register(name: string): Promise<string> {
  const email = `${name}${tag}@example.com`;
  await ask('POST', '/auth/register', { body: { email, username: `${name}_${tag}`, password } });
  return email;
}

const [email, crowd] = [await register('ada'), await register('crowd')];
const { accessToken: token } = JSON.parse((await ask('POST', '/auth/login', { body: { email, password } })).text);
const { mails } = JSON.parse((await ask('GET', '/dev/mail?wait=10')).text) as { mails: { to: string; links: string[] }[] };
const link = new URL(mails.find(({ to }) => to === email)?.links[0] ?? '');
await ask('GET', link.pathname, { token });

console.log('| what | p50 | p99 | worst | answers |\n|---|---|---|---|---|');
function report(what: string, answers: readonly Answer[]): void {
  const statuses = [...new Set(answers.map(({ status }) => status))].sort();
  const counts = statuses.map((each) => `${answers.filter(({ status }) => status === each).length} × ${each}`);
  const times = answers.map(({ ms }) => ms);
  console.log(`| ${what} | ${quantile(times, 0.5)} | ${quantile(times, 0.99)} | ${quantile(times, 1)} | ${counts.join(', ')} |`);
}

const quiet = performance.now() + 3000;
report('guarded requests, alone', await steadily(token, () => performance.now() > quiet));
const before = megabytes();
for (let round = 1; round <= 3; round += 1) {
  let isOver = false;
  const guarded = steadily(token, () => isOver);
  const logins = await Promise.all(Array.from({ length: flood }, () => ask('POST', '/auth/login', { body: { email: crowd, password } })));
  isOver = true;
  report(`guarded requests, during ${flood} logins at once (${round})`, await guarded);
  report(
    `the logins that were let in (${round})`,
    logins.filter(({ status }) => status === 200),
  );
  const refused = logins.filter(({ status }) => status !== 200);
  report(`the logins that were turned away (${round})`, refused);
  if (refused.some(({ retryAfter }) => retryAfter === undefined)) throw new Error('a refusal does not say when to come back');
}
console.log(`\nResident memory: ${before} before, ${megabytes()} after.`);
agent.destroy();
