import { randomBytes } from 'node:crypto';
import { listUsers } from '../administration/list-users.ts';
import {
  changeRole,
  confirmUser,
  deleteUser,
  disableUser,
  enableUser,
  endUserSessions,
  requireNamedUser,
  requireRole,
} from '../administration/manage-user.ts';
import { presentUser } from '../identity/user-schema.ts';
import type { UserRow } from '../identity/users.ts';
import { registerUser } from '../registration/register-user.ts';
import type { Services } from '../services.ts';
import { listSessions, presentSession } from '../sessions/own-sessions.ts';
import { type Command, parse, UsageError } from './command.ts';
import { explain } from './explain.ts';
import { withServices } from './with-services.ts';

const json = { json: { type: 'boolean' } } as const;
const nameHelp = 'NAME [--json]';
const pageSize = 200;

const list: Command = {
  usage: 'users list [--query TEXT] [--json]',
  purpose: 'the users, in the order in which they registered',
  async run(args, config, console) {
    const { values } = parse(args, { ...json, query: { type: 'string' } }, 0);
    const q = values['query'] as string | undefined;
    await withServices(config, console, async ({ db }) => {
      let page: UserRow[] = [];
      do {
        page = await listUsers(db, { q, limit: pageSize, after: page.at(-1)?.id });
        for (const user of page) console.say(show(user, values['json'] === true));
      } while (page.length === pageSize);
    });
  },
};

const create: Command = {
  usage: 'users create --email ADDRESS --username NAME [--role ROLE] [--confirmed] [--json]',
  purpose: 'open an account with a password that is shown once',
  async run(args, config, console) {
    const options = {
      ...json,
      email: { type: 'string' },
      username: { type: 'string' },
      role: { type: 'string' },
      confirmed: { type: 'boolean' },
    } as const;
    const { values } = parse(args, options, 0);
    const { email, username, role } = values;
    if (typeof email !== 'string' || typeof username !== 'string') throw new UsageError('--email and --username are needed');
    const password = randomBytes(18).toString('base64url');
    const user = await withServices(config, console, async (services) => {
      // Before there is an account whose password nobody would be shown.
      if (typeof role === 'string') await requireRole(services.db, role);
      const created = await registerUser(services, { email, username, password });
      const confirmed = values['confirmed'] ? await confirmUser(services, created) : created;
      return typeof role === 'string' ? changeRole(services, confirmed, role) : confirmed;
    });
    console.say(values['json'] ? JSON.stringify({ ...presentUser(user), password }) : `${show(user, false)}\npassword: ${password}`);
  },
};

const sessions: Command = {
  usage: 'users sessions NAME [--end] [--json]',
  purpose: 'where a user is logged in, or end all of it',
  async run(args, config, console) {
    const { words, values } = parse(args, { ...json, end: { type: 'boolean' } }, 1);
    await withServices(config, console, async (services) => {
      const user = await requireNamedUser(services.db, words[0] as string);
      if (values['end']) {
        const ended = await endUserSessions(services, user);
        return console.say(values['json'] ? JSON.stringify({ ended }) : `${ended} sessions ended`);
      }
      for (const row of await listSessions(services, user.id)) {
        const { current: _, ...session } = presentSession(row, '');
        console.say(
          values['json']
            ? JSON.stringify(session)
            : `${session.id}  ${session.lastUsedAt}  ${session.ip}  ${session.device ?? session.userAgent}`,
        );
      }
    });
  },
};

const remove: Command = {
  usage: 'users delete NAME --yes',
  purpose: 'delete an account and all that belongs to it',
  async run(args, config, console) {
    const { words, values } = parse(args, { yes: { type: 'boolean' } }, 1);
    if (!values['yes']) throw new UsageError('this cannot be undone: say --yes');
    await withServices(config, console, async (services) => deleteUser(services, await requireNamedUser(services.db, words[0] as string)));
    console.say('The account is deleted.');
  },
};

const role: Command = {
  usage: 'users role NAME ROLE [--json]',
  purpose: 'give a user another role (user, admin)',
  async run(args, config, console) {
    const { words, values } = parse(args, json, 2);
    const [name = '', wanted = ''] = words;
    const user = await withServices(config, console, async (services) =>
      changeRole(services, await requireNamedUser(services.db, name), wanted),
    );
    console.say(show(user, values['json'] === true));
  },
};

/** A command that does one thing to one user and shows them afterwards. */
function onUser(verb: string, purpose: string, change: (services: Services, user: UserRow) => Promise<UserRow>): Command {
  return {
    usage: `users ${verb} ${nameHelp}`,
    purpose,
    async run(args, config, console) {
      const { words, values } = parse(args, json, 1);
      const user = await withServices(config, console, async (services) => {
        return change(services, await requireNamedUser(services.db, words[0] as string));
      });
      console.say(show(user, values['json'] === true));
    },
  };
}

export const userCommands: Readonly<Record<string, Command>> = {
  'users list': list,
  'users show': onUser('show', 'a user by e-mail address, name or id', async (_services, user) => user),
  'users explain': explain,
  'users create': create,
  'users confirm': onUser('confirm', 'confirm an address on your word', confirmUser),
  'users disable': onUser('disable', 'shut a user out at once', disableUser),
  'users enable': onUser('enable', 'let a disabled user in again', enableUser),
  'users role': role,
  'users sessions': sessions,
  'users delete': remove,
};

function show(user: UserRow, asJson: boolean): string {
  const disabled = user.disabledAt !== null;
  const presented = { ...presentUser(user), disabled };
  if (asJson) return JSON.stringify(presented);
  const state = [presented.confirmed ? 'confirmed' : 'unconfirmed', ...(disabled ? ['disabled'] : [])].join(', ');
  return `${presented.id}  ${presented.username}  ${presented.email}  ${presented.role}  ${state}`;
}
