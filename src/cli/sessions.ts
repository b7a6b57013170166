import { endOldestSessions } from '../identity/sessions.ts';
import { type Command, parse, UsageError } from './command.ts';
import { withServices } from './with-services.ts';

/** Sessions that are ended at a time: few enough that nobody waits for it. */
const batchSize = 500;

const endAll: Command = {
  usage: 'sessions end-all --yes',
  purpose: 'log everybody out, everywhere: after a restored backup, in which ended sessions live again',
  async run(args, config, console) {
    const { values } = parse(args, { yes: { type: 'boolean' } }, 0);
    if (!values['yes']) throw new UsageError('everybody will have to log in again: say --yes');
    const count = await withServices(config, console, async ({ clock, db }) => {
      const endBatch = async () => (await db.transaction((tx) => endOldestSessions(tx, batchSize, clock))).length;
      let total = 0;
      // A batch may find that others have ended some of its sessions: only one that ends none is the last.
      for (let ended = await endBatch(); ended > 0; ended = await endBatch()) total += ended;
      return total;
    });
    console.say(`${count} sessions ended`);
  },
};

export const sessionCommands: Readonly<Record<string, Command>> = { 'sessions end-all': endAll };
