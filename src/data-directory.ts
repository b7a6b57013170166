import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const secretBytes = 48;
const secretLength = (secretBytes * 4) / 3;

/** Makes the data directory, for this user alone: it holds the secret, mails and the embedded database. */
export async function openDataDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
}

/**
 * The secret that was generated for this directory, generating it the first time.
 *
 * Several processes may ask at once: the file appears whole or not at all, and the first one's stays.
 */
export async function loadGeneratedSecret(directory: string): Promise<string> {
  const path = join(directory, 'secret');
  const draft = `${path}.${randomUUID()}`;
  await writeFile(draft, randomBytes(secretBytes).toString('base64url'), { flag: 'wx', mode: 0o600 });
  try {
    await link(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(draft);
  }
  const secret = (await readFile(path, 'utf8')).trim();
  // Cut short by a full disk or a power failure: going on would derive every key from next to nothing.
  if (secret.length < secretLength) throw new Error(`The generated secret is damaged. Restore ${path} from a backup, or set AUTH_SECRET`);
  return secret;
}
