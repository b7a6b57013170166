// Puts the service, and what it always needs of its libraries, into a few files: to find and read a thousand of them takes
// half of the start. What is imported from the package stays as the compiler made it.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

/** Stay where they are installed: those with binaries or files of their own, and those that few configurations load. */
const installed =
  /^(@electric-sql\/pglite|@fastify\/(http-proxy|otel|swagger-ui)|@node-rs\/argon2|@opentelemetry\/.+|ioredis|pg-native|prom-client)($|\/)/;

/**
 * Writes the entries in `source` over those that were compiled to `output`, and the rest beside them, with the licences of
 * what is in it. There may be other entries, from anywhere.
 *
 * Each file of the rest is one folder deep, like the modules that look for their templates and migrations from where they are.
 */
export async function bundle(source, output, input = { server: join(source, 'server.ts'), 'cli/main': join(source, 'cli/main.ts') }) {
  const program = await rolldown({ input, platform: 'node', external: installed });
  const { output: files } = await program.generate({
    ...{ dir: output, entryFileNames: '[name].js', chunkFileNames: 'bundle/[name].js' },
    // Source text stays in memory for as long as the process lives.
    comments: false,
  });
  await program.close();
  // Not before there is something to take its place.
  rmSync(join(output, 'bundle'), { recursive: true, force: true });
  for (const { fileName, code } of files) {
    mkdirSync(join(output, fileName, '..'), { recursive: true });
    writeFileSync(join(output, fileName), inOneByte(code));
  }
  writeFileSync(join(output, 'bundle/LICENSES.txt'), licencesOf(files.flatMap(({ moduleIds = [] }) => moduleIds)));
}

/** A file with one character beyond Latin-1 takes two bytes for each, and its text stays in memory: 3 MB more. They are all in strings. */
function inOneByte(code) {
  return code.replace(/[\u0100-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function licencesOf(modules) {
  const packages = new Set(modules.flatMap((path) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path) ?? []));
  return [...packages]
    .sort()
    .map(licenceOf)
    .join(`\n${'-'.repeat(80)}\n\n`);
}

function licenceOf(directory) {
  const { name, version, license, author, repository } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  const file = readdirSync(directory).find((each) => /^licen[cs]e/i.test(each));
  const origin = () => {
    if (author === undefined || repository === undefined)
      throw new Error(`${name} has neither a text of its licence nor an author and an origin`);
    return `By ${author.name ?? author}, ${repository.url ?? repository}; the package has no text of its licence.\n`;
  };
  return `${name} ${version} (${license})\n\n${file === undefined ? origin() : readFileSync(join(directory, file), 'utf8')}`;
}
