// Whether the time of an answer tells if there is an account: see README.md. Usage, against a service that is running
// with RATE_LIMIT=off: `node --import=./scripts/typescript.js bench/equal-work.ts http://localhost:3000 [SAMPLES]`. First on a quiet
// service, then while others log in and ask for guarded routes all the time.
import { performance } from 'node:perf_hooks';

const [base, sampleCount = '300'] = process.argv.slice(2);
if (base === undefined) throw new Error('the address of the service is missing');
const samples = Number(sampleCount);

async function post(path: string, body: object): Promise<number> {
  const answer = await fetch(base + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  await answer.text();
  return answer.status;
}

async function time(path: string, body: object): Promise<number> {
  const start = performance.now();
  await post(path, body);
  return performance.now() - start;
}

const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] as number;

/** The probability that two samples come from one distribution (Mann-Whitney, normal approximation, two-sided). */
function sameness(one: readonly number[], other: readonly number[]): number {
  const ranked = [...one.map((ms) => ({ ms, isOne: true })), ...other.map((ms) => ({ ms, isOne: false }))].sort((a, b) => a.ms - b.ms);
  const rankSum = ranked.reduce((sum, { isOne }, index) => sum + (isOne ? index + 1 : 0), 0);
  const u = rankSum - (one.length * (one.length + 1)) / 2;
  const deviation = Math.sqrt((one.length * other.length * (one.length + other.length + 1)) / 12);
  const z = Math.abs((u - (one.length * other.length) / 2) / deviation);
  // Abramowitz and Stegun, 7.1.26.
  const x = z / Math.SQRT2;
  const s = 1 / (1 + 0.3275911 * x);
  return s * (0.254829592 + s * (-0.284496736 + s * (1.421413741 + s * (-1.453152027 + s * 1.061405429)))) * Math.exp(-x * x);
}

/** Takes samples of two requests by turns, in an order that nothing else can follow. */
async function compare(what: string, path: string, known: () => object, unknown: () => object): Promise<void> {
  const times: { known: number[]; unknown: number[] } = { known: [], unknown: [] };
  for (let sample = 0; sample < samples; sample += 1) {
    for (const which of Math.random() < 0.5 ? (['known', 'unknown'] as const) : (['unknown', 'known'] as const)) {
      times[which].push(await time(path, which === 'known' ? known() : unknown()));
    }
  }
  const [one, other] = [median(times.known), median(times.unknown)];
  const p = sameness(times.known, times.unknown);
  const difference = one - other;
  const percent = (100 * difference) / other;
  console.log(
    `| ${what} | ${one.toFixed(2)} ms | ${other.toFixed(2)} ms | ${difference.toFixed(2)} ms (${percent.toFixed(1)} %) | ${p.toFixed(3)} | ${samples} each |`,
  );
}

const tag = Date.now();
const accounts = Array.from({ length: 50 }, (_, index) => `known${index}.${tag}@example.com`);
for (const [index, email] of accounts.entries()) {
  await post('/auth/register', { email, username: `known${index}_${tag}`, password: 'correct horse battery staple' });
}
let turn = 0;
const nextTurn = () => {
  turn += 1;
  return turn;
};
const known = () => accounts[nextTurn() % accounts.length] as string;
const unknown = () => `nobody${nextTurn()}.${tag}@example.com`;
const password = 'a wrong password of somebody';

console.log('| request | known | unknown | difference of medians | Mann-Whitney p | samples |\n|---|---|---|---|---|---|');
async function compareAll(when: string): Promise<void> {
  await compare(
    `login by address, ${when}`,
    '/auth/login',
    () => ({ email: known(), password }),
    () => ({ email: unknown(), password }),
  );
  await compare(
    `login by name, ${when}`,
    '/auth/login',
    () => ({ username: known().replace(/\.(\d+)@.*/, '_$1'), password }),
    () => ({ username: `nobody${nextTurn()}_${tag}`, password }),
  );
  await compare(
    `forgotten password, ${when}`,
    '/auth/password/forgot',
    () => ({ email: known() }),
    () => ({ email: unknown() }),
  );
}

/** Somebody who does not stop. */
async function keepBusy(isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    await post('/auth/login', { email: accounts[0], password: 'correct horse battery staple' });
    for (let times = 0; times < 20; times += 1) await (await fetch(`${base}/auth/sessions`)).text();
  }
}

await compareAll('quiet');
let isOver = false;
const others = Array.from({ length: 4 }, () => keepBusy(() => isOver));
await compareAll('under load');
isOver = true;
await Promise.all(others);
