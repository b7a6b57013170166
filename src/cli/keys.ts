import type { Config } from '../config.ts';
import type { Services } from '../services.ts';
import { publicationLeadSeconds, renewSigningKeys, type SigningKey } from '../tokens/signing-keys.ts';
import { type Command, type Console, parse, UsageError } from './command.ts';
import { withServices } from './with-services.ts';

const list: Command = {
  usage: 'keys list',
  purpose: 'the keys that sign and verify access tokens',
  async run(args, config, console) {
    parse(args, {}, 0);
    await withServices(config, console, async ({ keyRing }) => {
      const signing = keyRing.current().kid;
      for (const { kid } of keyRing.published()) console.say(`${kid}${kid === signing ? '  signs' : ''}`);
    });
  },
};

const rotate: Command = {
  usage: 'keys rotate [--revoke-all]',
  purpose: 'make another key; --revoke-all also ends all others at once, and with them every access token and every link in a mail',
  async run(args, config, console) {
    const { values } = parse(args, { 'revoke-all': { type: 'boolean' } }, 0);
    if (values['revoke-all']) {
      await renew(config, console, { revoke: () => true });
      console.say(
        'All keys are revoked; another one signs. Clients refresh their sessions within a minute; links in mails of before are over.',
      );
    } else {
      await renew(config, console, { always: true });
      console.say(`Another key is published, and signs in ${publicationLeadSeconds / 60} minutes.`);
    }
  },
};

const revoke: Command = {
  usage: 'keys revoke KID',
  purpose: 'end a key, every access token that it signed, and every link in a mail of before, everywhere within a minute',
  async run(args, config, console) {
    // The id of a key may begin like an option.
    const { words } = parse(['--', ...args], {}, 1);
    await renew(config, console, { revoke: ({ kid }) => kid === words[0], expect: words[0] as string });
    console.say('The key is revoked; links in mails of before are over.');
  },
};

export const keyCommands: Readonly<Record<string, Command>> = { 'keys list': list, 'keys rotate': rotate, 'keys revoke': revoke };

interface Renewal {
  readonly always?: boolean;
  readonly revoke?: (key: SigningKey) => boolean;
  readonly expect?: string;
}

/** A key must be there that signs now: where none is left, the new one does so at once. */
async function renew(config: Config, console: Console, { always = false, revoke: which = () => false, expect }: Renewal): Promise<void> {
  await withServices(config, console, async ({ clock, db, keyRing, secrets }: Services) => {
    if (expect !== undefined && keyRing.publicKey(expect) === undefined) throw new UsageError('there is no key with this kid');
    await renewSigningKeys(db, {
      secrets,
      clock,
      revoke: which,
      decide: (keys) => (keys.some(({ activatesAt }) => activatesAt <= clock.now()) ? (always ? 'after publication' : 'none') : 'at once'),
    });
  });
}
