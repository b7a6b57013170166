import { cp, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from '../../scripts/bundle.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Puts the service into few files, as `npm run build` does, in a directory from which it finds what is installed.
 *
 * @param entries other ones than those of the service, each by its name in a folder of `dist`
 */
export async function makeBundle(directory: string, entries?: Readonly<Record<string, string>>): Promise<void> {
  for (const name of ['node_modules', 'migrations', 'package.json']) await symlink(join(root, name), join(directory, name));
  for (const name of ['mail', 'pages'])
    await cp(join(root, 'src', name, 'templates'), join(directory, 'dist', name, 'templates'), { recursive: true });
  await bundle(join(root, 'src'), join(directory, 'dist'), entries);
}
