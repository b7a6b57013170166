// Writes openapi/openapi.json from the routes, and from it the types of clients, openapi/latchkey.d.ts; with --check it
// only tells whether the committed ones are up to date.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import generateTypes, { astToString, COMMENT_HEADER } from 'openapi-typescript';
import { buildApp } from '../src/app.ts';
import { systemClock } from '../src/clock.ts';
import { loadConfig } from '../src/config.ts';

const dataDir = await mkdtemp(join(tmpdir(), 'latchkey-openapi-'));
const app = await buildApp(loadConfig({ DATA_DIR: dataDir, LOG_LEVEL: 'error' }), { clock: systemClock });
const document = `${JSON.stringify(app.swagger(), null, 2)}\n`;
await app.close();
await rm(dataDir, { recursive: true });

const generated = {
  'openapi/openapi.json': document,
  'openapi/latchkey.d.ts': `${COMMENT_HEADER}${astToString(await generateTypes(document))}`,
};

for (const [name, text] of Object.entries(generated)) {
  const path = fileURLToPath(new URL(`../${name}`, import.meta.url));
  if (!process.argv.includes('--check')) {
    await writeFile(path, text);
  } else if ((await readFile(path, 'utf8').catch(() => '')) !== text) {
    console.error(`${name} is not what the routes say. Run: npm run openapi`);
    process.exitCode = 1;
  }
}
