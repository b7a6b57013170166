// Runs the steps of the test command that are named as arguments, one after the other, and sums them up in a last
// line `N passed, N failed`: each assertion of the suite counts, and each other step as one.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { openEmbeddedDatabase } from '../src/db/embedded.ts';
import { failuresIn, testFiles, writeBatches } from './suite.ts';

/**
 * Tests that run on a server only: what needs real concurrency or processes that die, commands, each of which opens the
 * database anew, which takes the embedded engine half a second every time, and ten thousand requests.
 */
const onServerOnly =
  /^test\/(?:races\/|faults\/(?!checker\b))|^test\/cli\/(?:users|users-explain|keys|sessions)\.test\.ts$|^test\/attacks\/(?:two-instances-.*|fuzz)\.test\.ts$/;

/**
 * Attacks that are over before the database is asked, or ask it nothing that other tests do not, and what has little or
 * nothing to do with a database, or all with the embedded one.
 */
const onEmbeddedOnly = [
  /^test\/attacks\/(?:bodies|cross-site|forged-.*|guard|headers|mail-scanners|nginx|presented-tokens|published-keys)\.test\.ts$/,
  /^test\/attacks\/(?:registration-values|slow-clients|surface|token-.*|trusted-headers|upstream|worthless-tokens)\.test\.ts$/,
  /^test\/gateway\/upstream.*\.test\.ts$/,
  /^test\/cli\/(?:config|doctor.*)\.test\.ts$/,
  /^test\/(?:config|data-directory|environment|repeater|server)\.test\.ts$/,
  /^test\/(?:credentials|db|deploy|docs|examples|http|problems|tokens)\//,
  /^test\/operations\/(?:docs|openapi|spectral|tracing|unavailable)\.test\.ts$/,
  /^test\/(?:journeys\/(?:docs|link-pages)|mail\/(?:templates|tls|words)|pages\/(?:configured|negotiation|templates))\.test\.ts$/,
];

/** Folders of which every line is run by the suite; a gap carries its reason where it stands. */
const covered =
  /^src\/(tokens|credentials|guard|registration|confirmation|sessions|passwords|email-change|account|administration|purge|pages|welcome)\//;
/** The embedded databases of the tests are many small files, which a memory file system makes in no time. */
const temporary = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const coverageSummary = '.tap/report/coverage-summary.json';

type Variables = Readonly<Record<string, string>>;

interface Tally {
  passed: number;
  failed: number;
}

const steps: Readonly<Record<string, () => Promise<Tally>>> = {
  check: async () =>
    sum([await command('type check', ['tsc']), await command('type check for browsers', ['tsc', '--project', 'examples/spa', '--noEmit'])]),
  async lint() {
    const tallies = [
      await command('style', ['biome', 'check', '--error-on-warnings']),
      await command('import directions', ['depcruise', 'src', '--config', '.dependency-cruiser.cjs']),
      await command('dead code', ['knip']),
      await command('package', ['publint', '--strict']),
      await command('types of the package', ['attw', '--pack', '.', '--profile', 'esm-only', '--quiet']),
    ];
    return sum(tallies);
  },
  openapi: () => command('OpenAPI drift', [process.execPath, '--import=./scripts/typescript.js', 'scripts/openapi.ts', '--check']),
  /** All but what needs a server, on the embedded database, with coverage. */
  async suite() {
    const files = (await testFiles()).filter((file) => !onServerOnly.test(file));
    const template = await makeTemplate();
    try {
      const tally = await suite(files, ['--coverage-report=json-summary'], { TEST_DATABASE_TEMPLATE: join(template, 'database') });
      return sum([tally, uncovered()]);
    } finally {
      await rm(template, { recursive: true });
    }
  },
  /** All but what does not reach the database, on the server that TEST_DATABASE_URL names. */
  async postgres() {
    if (!process.env['TEST_DATABASE_URL']) throw new Error('TEST_DATABASE_URL names no server');
    return suite(
      (await testFiles()).filter((file) => onServerOnly.test(file) || !onEmbeddedOnly.some((each) => each.test(file))),
      ['--disable-coverage'],
    );
  },
};

function sum(tallies: readonly Tally[]): Tally {
  return tallies.reduce((total, { passed, failed }) => ({ passed: total.passed + passed, failed: total.failed + failed }), {
    passed: 0,
    failed: 0,
  });
}

/** Makes an embedded database for the tests to copy: migrating one takes longer than most of them. */
async function makeTemplate(): Promise<string> {
  const directory = await mkdtemp(join(temporary, 'latchkey-template-'));
  await (await openEmbeddedDatabase(directory, console.log)).close();
  return directory;
}

async function run(argv: readonly string[], onOutput?: (text: string) => void, variables: Variables = {}): Promise<number> {
  const [name = '', ...rest] = argv;
  const path = `node_modules/.bin:${process.env['PATH'] ?? ''}`;
  const child = spawn(name, rest, {
    env: { ...process.env, TMPDIR: temporary, ...variables, PATH: path },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    process.stdout.write(text);
    onOutput?.(text);
  });
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
}

async function command(title: string, argv: readonly string[]): Promise<Tally> {
  const code = await run(argv);
  console.log(`${code === 0 ? 'ok' : 'NOT OK'}: ${title}`);
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

async function suite(files: readonly string[], options: readonly string[], variables: Variables = {}): Promise<Tally> {
  let output = '';
  const argv = ['tap', '--reporter=tap', '--allow-incomplete-coverage', ...options, ...(await writeBatches(files))];
  const collect = (text: string) => {
    output += text;
  };
  const code = await run(argv, collect, variables);
  const [, totals = ''] = /^# \{ (.*) \}$/m.exec(output.slice(-2000)) ?? [];
  const count = (what: string) => Number(new RegExp(`${what}: (\\d+)`).exec(totals)?.[1] ?? 0);
  const failed = count('fail');
  for (const failure of failuresIn(output)) console.log(`NOT OK: ${failure}`);
  return { passed: count('pass'), failed: code !== 0 && failed === 0 ? 1 : failed };
}

/** One failure for each file that the suite must cover whole, but does not. */
function uncovered(): Tally {
  const summary = JSON.parse(readFileSync(coverageSummary, 'utf8')) as Record<string, { lines: { pct: number } }>;
  const gaps = Object.entries(summary)
    .map(([file, { lines }]) => ({ file: relative(process.cwd(), file), percent: lines.pct }))
    .filter(({ file, percent }) => covered.test(file) && percent < 100);
  for (const { file, percent } of gaps) console.log(`NOT OK: only ${percent} % of the lines of ${file} are run`);
  return { passed: gaps.length === 0 ? 1 : 0, failed: gaps.length };
}

const total: Tally = { passed: 0, failed: 0 };
for (const name of process.argv.slice(2)) {
  const step = steps[name];
  if (step === undefined) throw new Error(`there is no step ${name}: ${Object.keys(steps).join(', ')}`);
  const { passed, failed } = await step();
  total.passed += passed;
  total.failed += failed;
}
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
