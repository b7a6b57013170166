// Compiles src/ into dist/, with the templates beside it, the service in few files, and an empty embedded database to start from.
// With --if-stale it does so only when a source is newer than what was built; with --if-possible, only when the
// compiler is installed, so that `npm ci --omit=dev` works on what was built elsewhere.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'src');
const output = join(root, 'dist');
const stamp = join(output, '.built');
/** Libraries are in what was built, too. */
const besideSources = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'scripts/build.js', 'scripts/bundle.js'];
const require = createRequire(import.meta.url);

if (process.argv.includes('--if-possible') && !canResolve('typescript')) process.exit(0);
if (process.argv.includes('--if-stale') && !isStale()) process.exit(0);

compile();
copyTemplates();
await bundleService();
await prepareEmptyDatabase();
writeFileSync(stamp, '');

function canResolve(name) {
  try {
    return require.resolve(name) !== '';
  } catch {
    return false;
  }
}

function files() {
  return readdirSync(source, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
}

function isStale() {
  if (!existsSync(stamp)) return true;
  const builtAt = statSync(stamp).mtimeMs;
  const sources = files().map(({ parentPath, name }) => join(parentPath, name));
  return [...sources, ...besideSources.map((name) => join(root, name))].some(
    (file) => existsSync(file) && statSync(file).mtimeMs > builtAt,
  );
}

function compile() {
  const compiler = require.resolve('typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [compiler, '--project', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

function copyTemplates() {
  for (const { parentPath, name } of files().filter((entry) => entry.name.endsWith('.eta'))) {
    const target = parentPath.replace(source, output);
    mkdirSync(target, { recursive: true });
    cpSync(join(parentPath, name), join(target, name));
  }
}

/** Not before the compiler is known to be there, and the bundler with it. */
async function bundleService() {
  const { bundle } = await import('./bundle.js');
  await bundle(source, output);
}

/** Copying an empty database takes a hundredth of the time that making one takes; remade when the engine changes. */
async function prepareEmptyDatabase() {
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules/@electric-sql/pglite/package.json'), 'utf8'));
  const directory = join(output, `empty-database-${version}`);
  if (existsSync(directory)) return;
  const { PGlite } = await import('@electric-sql/pglite');
  rmSync(`${directory}.new`, { recursive: true, force: true });
  const engine = await PGlite.create(`${directory}.new`);
  await engine.close();
  renameSync(`${directory}.new`, directory);
}
