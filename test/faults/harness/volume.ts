import { eventually } from '../../support/eventually.ts';
import { runCommand } from './command.ts';
import type { Run } from './lifetime.ts';

/** Where PostgreSQL keeps its data: a small file system that can be full. */
export interface Volume {
  /** Leaves no room for anything more. */
  fill(): Promise<void>;
  /** Gives the room back. */
  free(): Promise<void>;
}

const size = '600m';

/**
 * Mounts a file system in memory at a directory. Its limit is lowered to what is used, instead of using up what there is.
 *
 * @returns why there is none when it may not be mounted; then the directory is an ordinary one
 */
export async function mountVolume(run: Run, directory: string): Promise<Volume | { readonly missing: string }> {
  const { uid, gid } = await ownerOf(directory);
  const resize = (to: string) => runCommand(['mount', '-o', `remount,size=${to}`, directory]);
  try {
    await runCommand(['mount', '-t', 'tmpfs', '-o', `size=${size},uid=${uid},gid=${gid},mode=700`, 'tmpfs', directory]);
  } catch (error) {
    return { missing: `no file system can be mounted: ${(error as Error).message.trim()}` };
  }
  run.teardown(() => runCommand(['umount', '-l', directory]));
  return {
    // More may be used by the time that the limit is set, which is refused then.
    fill: () =>
      eventually('the limit is what is used', async () => {
        const [, used = ''] = (await runCommand(['df', '-B1', '--output=used', directory])).split('\n');
        return resize(used.trim()).then(
          () => true,
          () => false,
        );
      }),
    free: async () => void (await resize(size)),
  };
}

async function ownerOf(directory: string): Promise<{ uid: string; gid: string }> {
  const [uid = '', gid = ''] = (await runCommand(['stat', '-c', '%u %g', directory])).trim().split(' ');
  return { uid, gid };
}
