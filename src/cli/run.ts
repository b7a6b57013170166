import { ConfigError, loadConfig } from '../config.ts';
import { DirectoryLockedError } from '../db/directory-lock.ts';
import { logError } from '../http/log-error.ts';
import { MailTemplateError } from '../mail/templates.ts';
import { PageTemplateError } from '../pages/templates.ts';
import { serve } from '../serve.ts';
import { SealedKeysError } from '../tokens/signing-keys.ts';
import type { Command, Console, EnvironmentCommand } from './command.ts';
import { parse, UsageError } from './command.ts';
import { showConfig } from './config.ts';
import { doctor } from './doctor.ts';
import { keyCommands } from './keys.ts';
import { mailPreview, mailRetry, mailStatus } from './mail.ts';
import { sessionCommands } from './sessions.ts';
import { userCommands } from './users.ts';

const migrate: Command = {
  usage: 'migrate',
  purpose: 'bring the schema of the database up to date',
  async run(args, { databaseUrl }, { say }) {
    parse(args, {}, 0);
    if (databaseUrl === undefined) return say('DATABASE_URL is not set: the embedded database is migrated when the service starts.');
    const { migrateServerDatabase } = await import('../db/migrate-server.ts');
    await migrateServerDatabase(databaseUrl);
    say('The schema is up to date.');
  },
};

const serveCommand: Command = {
  usage: 'serve',
  purpose: 'run the service',
  run(args, config, { say }) {
    parse(args, {}, 0);
    return serve(config, say);
  },
};

const commands: Readonly<Record<string, Command | EnvironmentCommand>> = {
  serve: serveCommand,
  migrate,
  config: showConfig,
  doctor,
  'mail status': mailStatus,
  'mail retry': mailRetry,
  'mail preview': mailPreview,
  ...userCommands,
  ...sessionCommands,
  ...keyCommands,
};

const helpWords: readonly string[] = ['help', '--help', '-h'];

const standardConsole: Console = {
  say: (line) => void process.stdout.write(`${line}\n`),
  complain: (line) => void process.stderr.write(`${line}\n`),
};

/**
 * Runs one command of `latchkey`, configured from the environment as the service is.
 *
 * @returns the exit status: 0 when it was done, 1 when it failed, 2 when it was not understood
 */
export async function runCli(argv: readonly string[], console = standardConsole, env = process.env): Promise<number> {
  const [first = 'help', second = ''] = argv;
  const name = [`${first} ${second}`, first].find((each) => Object.hasOwn(commands, each));
  const command = name === undefined ? undefined : commands[name];
  if (name === undefined || command === undefined) {
    const isGroup = Object.keys(commands).some((each) => each.startsWith(`${first} `));
    const isHelp = helpWords.includes(isGroup ? second : first);
    (isHelp ? console.say : console.complain)(usage());
    return isHelp ? 0 : 2;
  }
  const args = argv.slice(name.split(' ').length);
  if (args.includes('--help') || args.includes('-h')) {
    console.say(`Usage: latchkey ${command.usage}\n\n${command.purpose}`);
    return 0;
  }
  try {
    if ('examine' in command) return await command.examine(args, env, console);
    await command.run(args, loadConfig(env), console);
    return 0;
  } catch (error) {
    console.complain(explain(error, command));
    return error instanceof UsageError ? 2 : 1;
  }
}

/** How wide the column of the commands is; what is longer has its purpose in the next line. */
const usageWidth = 48;

function usage(): string {
  const lines = Object.values(commands).map(({ usage: words, purpose }) => {
    const indent = words.length > usageWidth ? `\n${' '.repeat('  latchkey '.length + usageWidth)}` : '';
    return `  latchkey ${words.padEnd(usageWidth)}${indent} ${purpose}`;
  });
  return `Usage:\n${lines.join('\n')}\n\nConfigured from the environment: see README.md.`;
}

/**
 * PostgreSQL's words (appendix A of its manual) for letting nobody in: another role or password, no such database, no right
 * to it or to a table, too many connections, starting up.
 */
const refusedByDatabase: ReadonlySet<unknown> = new Set(['28000', '28P01', '3D000', '42501', '53300', '57P03']);

/** What the operator can mend is said in words; anything else needs its stack. */
function explain(error: unknown, { usage: line }: Pick<Command, 'usage'>): string {
  if (error instanceof UsageError) return `${error.message}\nUsage: latchkey ${line}`;
  if (!(error instanceof Error)) return String(error);
  const known =
    error instanceof ConfigError ||
    error instanceof DirectoryLockedError ||
    error instanceof MailTemplateError ||
    error instanceof PageTemplateError ||
    error instanceof SealedKeysError;
  // A port in use, a database that does not answer: the system's own words, which are empty when it tried several addresses.
  const { code } = error as NodeJS.ErrnoException;
  if (known || (code !== undefined && /^E[A-Z]+$/.test(code)))
    return error.message || `${code} (is the database running, and DATABASE_URL right?)`;
  // A failed query quotes its parameters, which can hold an address or a hash.
  const { stack, message, code: reason } = logError(error);
  if (refusedByDatabase.has(reason)) return `${message}\n\`latchkey doctor\` tells more.`;
  return stack || message;
}
