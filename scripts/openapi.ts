// Writes openapi/openapi.json from the routes; with --check it only tells whether the committed one is up to date.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildApp } from '../src/app.ts';
import { systemClock } from '../src/clock.ts';
import { loadConfig } from '../src/config.ts';

const path = fileURLToPath(new URL('../openapi/openapi.json', import.meta.url));
const dataDir = await mkdtemp(join(tmpdir(), 'latchkey-openapi-'));
const app = await buildApp(loadConfig({ DATA_DIR: dataDir, LOG_LEVEL: 'error' }), { clock: systemClock });
const document = `${JSON.stringify(app.swagger(), null, 2)}\n`;
await app.close();
await rm(dataDir, { recursive: true });

if (!process.argv.includes('--check')) {
  await writeFile(path, document);
} else if ((await readFile(path, 'utf8').catch(() => '')) !== document) {
  console.error('openapi/openapi.json is not what the routes say. Run: npm run openapi');
  process.exitCode = 1;
}
