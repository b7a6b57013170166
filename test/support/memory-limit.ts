import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { eventually } from './eventually.ts';

/** A group of processes whose memory can be limited, and which the kernel ends when they need more (cgroups, version 1 or 2). */
export interface MemoryGroup {
  /** What a process writes its own id into to belong to it: `echo $$ > FILE`. */
  readonly members: string;
  limit(bytes: number): Promise<void>;
  /** How many of its processes were ended for want of memory. */
  killed(): Promise<number>;
}

const versions = [
  { root: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes', events: 'memory.oom_control' },
  { root: '/sys/fs/cgroup', limit: 'memory.max', events: 'memory.events' },
] as const;

/** Makes one, for as long as the test lasts; answers why there is none. */
export async function createMemoryGroup(t: Test): Promise<MemoryGroup | { readonly missing: string }> {
  const reasons: string[] = [];
  for (const { root, limit, events } of versions) {
    const directory = join(root, `latchkey-test-${process.pid}`);
    try {
      await mkdir(directory);
      t.teardown(() =>
        eventually('its processes are gone', () =>
          rmdir(directory).then(
            () => true,
            () => false,
          ),
        ),
      );
      await readFile(join(directory, limit));
    } catch (error) {
      reasons.push((error as Error).message);
      continue;
    }
    return {
      members: join(directory, 'cgroup.procs'),
      limit: (bytes) => writeFile(join(directory, limit), String(bytes)),
      async killed() {
        const [, count] = /^oom_kill (\d+)$/m.exec(await readFile(join(directory, events), 'utf8')) ?? [];
        return Number(count ?? Number.NaN);
      },
    };
  }
  return { missing: `no group of processes can be made: ${reasons.join('; ')}` };
}
