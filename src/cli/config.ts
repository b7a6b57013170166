import type { Config } from '../config.ts';
import { type Command, parse } from './command.ts';

/** Members that are a secret. */
const secrets: ReadonlySet<string> = new Set(['authSecrets', 'privateKey']);
/** Members that lead to a server, with a password in them as a rule. */
const servers: ReadonlySet<string> = new Set(['databaseUrl', 'redisUrl', 'smtpUrl']);
const hidden = '(hidden)';

/** `latchkey config`: what a service in this environment would run with, to be shown to anybody who helps. */
export const showConfig: Command = {
  usage: 'config',
  purpose: 'check the configuration, and show it without its secrets',
  run(args, config, console) {
    parse(args, {}, 0);
    console.say(JSON.stringify(withoutSecrets(config), null, 2));
  },
};

function withoutSecrets(config: Config): unknown {
  return JSON.parse(
    JSON.stringify(config, (name, value: unknown) => {
      if (value === undefined) return null;
      if (secrets.has(name)) return Array.isArray(value) ? value.map(() => hidden) : hidden;
      if (typeof value !== 'string') return value;
      return servers.has(name) ? serverOf(value) : withoutCredentials(value);
    }),
  );
}

/** Where an address leads. Whoever has not encoded a password finds it anywhere in there: then nothing of it is shown. */
function serverOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const hasUser = url !== undefined && (url.username !== '' || url.password !== '');
  if (url === undefined || url.hash !== '' || text.split('@').length !== (hasUser ? 2 : 1)) return hidden;
  return `${url.protocol}//${hasUser ? `${hidden}@` : ''}${url.host}${url.pathname}${url.search === '' ? '' : `?${hidden}`}`;
}

/** Addresses that people are sent to: user and password, and what stands behind the path, but for the place of the token. */
function withoutCredentials(text: string): string {
  if (!/^[a-z][a-z\d+.-]*:\/\//i.test(text)) return text;
  return text.replace(/\/\/[^/]*@/, `//${hidden}@`).replace(/([?#])(?!\{token\}$).*$/, `$1${hidden}`);
}
