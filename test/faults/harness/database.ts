import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { postgresCommand } from '../../support/cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { runCommand } from './command.ts';
import type { Run } from './lifetime.ts';
import { createServer, type Server } from './server.ts';

/** The server that counts at the moment, and one that takes its place. */
export interface Database {
  primary(): Server;
  /**
   * Builds a synchronous standby, lets clients work with it for a while, ends the primary as a crash does, and has the
   * standby take its place. The old primary never comes back.
   */
  failOver(forMs: number): Promise<void>;
  /** Starts the primary, as a supervisor does, until it answers. */
  revive(): Promise<void>;
}

/** Starts it in a directory that has one for the data, `volume`. */
export async function startDatabase(run: Run, directory: string): Promise<Database> {
  let generation = 1;
  const placeOf = (which: number) => ({ data: join(directory, 'volume', `server-${which}`), log: join(directory, `server-${which}.log`) });
  let primary = await createServer(run, placeOf(generation));
  await primary.start();

  return {
    primary: () => primary,
    async failOver(forMs) {
      generation += 1;
      const standby = await createServer(run, { ...placeOf(generation), follows: primary });
      await standby.start();
      await primary.query("alter system set synchronous_standby_names = '*'", 'select pg_reload_conf()');
      await eventually('the standby is synchronous', async () => {
        const [row] = await primary.query('select sync_state from pg_stat_replication');
        return row?.['sync_state'] === 'sync';
      });
      await pause(forMs);
      await primary.stop('immediate');
      await standby.promote();
      primary = standby;
      await runCommand(postgresCommand(['rm', '-rf', placeOf(generation - 1).data]));
    },
    async revive() {
      const start = async () => {
        if (!(await primary.isRunning())) await primary.start().catch(() => {});
        return primary.query('select 1').then(
          () => true,
          () => false,
        );
      };
      await eventually('PostgreSQL answers again', start, 60_000);
    },
  };
}
