import { readFileSync } from 'node:fs';
import { link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** Thrown when another process holds a directory; the message says which one and what to do. */
export class DirectoryLockedError extends Error {
  override readonly name = 'DirectoryLockedError';

  constructor(path: string, holder: Holder) {
    super(
      `Another process (${holder.pid} on ${holder.host}) is using this data directory. Stop it, or set DATA_DIR to another one. ` +
        `If there is no such process, delete ${path}`,
    );
  }
}

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When the process started, as the system counts it: tells it from a later process with the same id. */
  readonly started: string | null;
}

const longestTurnMs = 10_000;
const lookAgainMs = 20;

/**
 * Takes a directory for this process alone.
 *
 * A lock whose process is dead is taken over; one from another host cannot be judged and is respected.
 *
 * @returns what gives it back
 * @throws DirectoryLockedError when another live process has it
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, 'lock');
  const own = JSON.stringify(identify(process.pid));
  for (;;) {
    const created = await writeFile(path, own, { flag: 'wx', mode: 0o600 }).then(() => true, rejectUnless('EEXIST'));
    if (created) return () => rm(path, { force: true });
    const text = await readFile(path, 'utf8').catch(rejectUnless('ENOENT'));
    if (text !== false) await removeIfStale(path, text);
  }
}

async function removeIfStale(path: string, text: string): Promise<void> {
  const holder = parseHolder(text);
  if (holder === undefined || isAlive(holder))
    throw new DirectoryLockedError(path, holder ?? { pid: 0, host: 'an unknown host', started: null });
  // One at a time; and should a turn ever be taken from somebody alive, whoever moved a newer lock away puts it back.
  const turn = `${path}.turn`;
  const isOurTurn = await writeFile(turn, '', { flag: 'wx', mode: 0o600 }).then(() => true, rejectUnless('EEXIST'));
  if (!isOurTurn) return waitFor(turn);
  const aside = `${path}.${process.pid}`;
  try {
    // Whose turn came first has one of their own by now.
    if ((await readFile(path, 'utf8').catch(rejectUnless('ENOENT'))) !== text) return;
    const moved = await rename(path, aside).then(() => true, rejectUnless('ENOENT'));
    if (moved && (await readFile(aside, 'utf8')) !== text) await link(aside, path).catch(rejectUnless('EEXIST'));
  } finally {
    await rm(aside, { force: true });
    await rm(turn, { force: true });
  }
}

/** A turn takes milliseconds: one that is older is of a process that died in it. */
async function waitFor(turn: string): Promise<void> {
  const begun = await stat(turn).then(({ mtimeMs }) => mtimeMs, rejectUnless('ENOENT'));
  if (begun !== false && Math.abs(Date.now() - begun) > longestTurnMs) await rm(turn, { force: true });
  else await pause(lookAgainMs);
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, host, started } = JSON.parse(text) as Holder;
    return Number.isInteger(pid) && typeof host === 'string' ? { pid, host, started } : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(holder: Holder): boolean {
  if (holder.host !== hostname()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const { started } = identify(holder.pid);
  return started === null || holder.started === null || started === holder.started;
}

function identify(pid: number): Holder {
  return { pid, host: hostname(), started: startTime(pid) };
}

/** Field 22 of proc_pid_stat(5), behind the name, which may hold spaces; null where there is no /proc. */
function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function rejectUnless(code: string) {
  return (error: NodeJS.ErrnoException): false => {
    if (error.code === code) return false;
    throw error;
  };
}
