// Keeps two instances of the service under load while it breaks what they depend on, and checks that they kept every
// promise. The seed decides on the order of the faults, on their victims and durations, and on what clients want; what the
// network and the scheduler make of it is different every time. Ends with a line `N passed, N failed`.
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { asPostgres, noPostgres } from '../support/cluster.ts';
import { type RunArguments, readArguments } from './harness/arguments.ts';
import { startBalancer } from './harness/balancer.ts';
import { check } from './harness/checker.ts';
import { startClients } from './harness/clients.ts';
import { type Database, startDatabase } from './harness/database.ts';
import { countUnsettled, type Evidence, readTables } from './harness/evidence.ts';
import { type Arena, type FaultKind, faultKinds, whyNot } from './harness/faults.ts';
import { playFinale } from './harness/finale.ts';
import { openHistory } from './harness/history.ts';
import { buildInstance, startInstance } from './harness/instances.ts';
import { beginRun, type Run } from './harness/lifetime.ts';
import { startLoad } from './harness/load.ts';
import { rage } from './harness/nemesis.ts';
import { startPulse } from './harness/pulse.ts';
import { raid } from './harness/raid.ts';
import { describeRaid, judgeRaid, type RaidObserved, readAttempts } from './harness/raid-verdict.ts';
import { describeRun } from './harness/report.ts';
import { createRandom } from './harness/seed.ts';
import { startSink } from './harness/sink.ts';
import { judge, type Observed } from './harness/verdict.ts';
import { mountVolume } from './harness/volume.ts';

const env = {
  ...{ AUTH_SECRET: 'q9Xv2LmB7cTz4RkW8sYd1NfH6gJp3KaE', PUBLIC_URL: 'http://localhost', LOG_LEVEL: 'warn' },
  ...{ ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1', RATE_LIMIT: 'off' },
};
/** Within this after the last fault, every mail has been sent. */
const drainsWithinMs = 60_000;
const isCi = process.env['CI'] !== undefined;
const warmUpMs = 3000;
const watcherCount = 20;

const say = (line: string) => console.log(line);

/** Two instances, and all that there is to break. */
async function startAll(run: Run, directory: string, { seed, kills }: RunArguments) {
  const history = openHistory(run, join(directory, 'history.jsonl'));
  // A small file system would be too small for all who register then.
  const volume = kills === undefined ? await mountVolume(run, join(directory, 'volume')) : { missing: 'it is not to be full' };
  const [database, sink] = [await startDatabase(run, directory), await startSink(run, history.now)];
  const unexpectedEnds: string[] = [];
  const deaths: number[] = [];
  const program = await buildInstance(join(directory, 'service'));
  const options = {
    ...{ directory, program, env, random: createRandom(seed + 1000), postgresPort: database.primary().port, smtpPort: sink.port },
    isDirect: kills !== undefined,
    onEnd: () => void deaths.push(history.now()),
    onUnexpectedEnd: (what: string) => void unexpectedEnds.push(`${what}, at ${history.now()}`),
  };
  const instances = [await startInstance(run, 'instance-1', options), await startInstance(run, 'instance-2', options)];
  return { history, volume, database, sink, unexpectedEnds, deaths, instances };
}

/** Waits until every mail is sent, for as long as that may take; answers how many are left over. */
async function settle(database: Database): Promise<number> {
  const end = performance.now() + drainsWithinMs;
  let leftOver = await countUnsettled(database.primary());
  while (leftOver > 0 && performance.now() < end) {
    await pause(500);
    leftOver = await countUnsettled(database.primary());
  }
  return leftOver;
}

async function observe(run: Run, directory: string, args: RunArguments): Promise<Observed & { raided?: RaidObserved }> {
  const { seed, lastsMs, kills, perSecond } = args;
  const only: FaultKind | undefined = kills === undefined ? args.only : 'instance: kill -9';
  const { history, volume, database, sink, unexpectedEnds, deaths, instances } = await startAll(run, directory, args);
  const base = await startBalancer(
    run,
    instances.map(({ port }) => port),
  );
  const clients = startClients({ base, history, seed, sink, areFew: kills !== undefined });
  const watchers = await Promise.all(Array.from({ length: watcherCount }, () => clients.registerAt('pulse.example')));
  const pulse = startPulse(run, { base, people: watchers.map(({ email, password }) => ({ email, password })), history });
  const arena: Arena = { instances, database, volume, sink, random: createRandom(seed), registerAt: clients.registerAt };
  const kinds = faultKinds.filter((kind) => only === undefined || kind === only);
  for (const kind of kinds) if (whyNot(kind, arena) !== undefined) say(`left out: ${kind}, since ${whyNot(kind, arena)}`);
  // Where they are to be had, none is left out without a word.
  const expected = kinds.filter((kind) => isCi || whyNot(kind, arena) === undefined);
  await pause(warmUpMs);

  const load = kills === undefined ? undefined : startLoad({ ...clients, history, sink, perSecond });
  const { injected, mishap } =
    kills === undefined
      ? await rage({ arena, history, pulse, only, until: history.now() + lastsMs, say })
      : await raid({ instances, history, pulse, rounds: kills, seed, say });
  await Promise.all([clients.stop(), load?.stop()]);
  const leftOver = await settle(database);
  say(`${(history.now() / 1000).toFixed(1)} s: all is over, and the mails are sent`);
  await playFinale(clients.people, { ...clients, sink, random: createRandom(seed + 2000) });
  const withoutMail = await load?.confirmRest();
  const evidence: Evidence = {
    ...(await readTables(database.primary())),
    ...{ history: history.entries, copies: sink.copies, refused: sink.refused, faults: injected, deaths },
  };
  const observed = { evidence, injected, mishap, kinds: expected, leftOver, unexpectedEnds };
  if (kills === undefined || load === undefined) return observed;
  const attempts = await readAttempts(database.primary());
  const { mostUnderWay } = load;
  const figures = { attempts, perSecond, mostUnderWay: mostUnderWay(), withoutMail: withoutMail ?? 0 };
  return { ...observed, raided: { evidence, kills: injected, rounds: kills, ...figures } };
}

/** Says what was seen; answers whether all was as it must be. */
function conclude({ raided, ...observed }: Observed & { raided?: RaidObserved }): boolean {
  const assertions = [...judge(observed), ...(raided === undefined ? [] : judgeRaid(raided))];
  const losses = check(observed.evidence).filter(({ invariant, what }) => invariant === 'I1' && what.endsWith('has no account')).length;
  const more = raided === undefined ? [] : ['', ...describeRaid(raided)];
  say(['', ...describeRun(observed.evidence, observed.injected, losses), ...more, ''].join('\n'));
  for (const { what, complaints } of assertions) {
    say(`${complaints.length === 0 ? 'ok' : 'NOT OK'}: ${what}`);
    for (const complaint of complaints.slice(0, 10)) say(`  ${complaint}`);
    if (complaints.length > 10) say(`  and ${complaints.length - 10} more`);
  }
  const failed = assertions.filter(({ complaints }) => complaints.length > 0).length;
  if (failed > 0) say(`\nReplay the same choices: ${args.replay}`);
  say(`${assertions.length - failed} passed, ${failed} failed`);
  return failed === 0;
}

function argumentsOrEnd(): RunArguments {
  try {
    return readArguments(process.argv.slice(2));
  } catch (error) {
    console.error((error as Error).message);
    process.exit(1);
  }
}

const args = argumentsOrEnd();
if (noPostgres) throw new Error(noPostgres);
const run = beginRun();
function giveUp(): void {
  console.error(`\nInterrupted. Replay the same choices: ${args.replay}`);
  run.end().finally(() => process.exit(1));
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, giveUp);
process.once('uncaughtException', (error) => {
  console.error(error);
  giveUp();
});
// Not in TMPDIR, where the user that PostgreSQL runs as may have no right to go.
const directory = asPostgres('mktemp', '-d', '/tmp/latchkey-faults.XXXXXX').trim();
await chmod(directory, 0o755);
asPostgres('mkdir', '-m', '700', join(directory, 'volume'));
say(`seed ${args.seed}; logs and history are in ${directory} until the run has passed`);
let isGood = false;
try {
  isGood = conclude(await observe(run, directory, args));
} finally {
  await run.end();
  if (isGood) await rm(directory, { recursive: true });
}
process.exit(isGood ? 0 : 1);
