import type { Config } from '../config.ts';
import { type Command, parse } from './command.ts';

/** Members that hold nothing but a secret. */
const secrets: ReadonlySet<string> = new Set(['authSecrets', 'privateKey']);
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
      if (secrets.has(name) && value !== undefined) return Array.isArray(value) ? value.map(() => hidden) : hidden;
      return typeof value === 'string' ? withoutCredentials(value) : (value ?? null);
    }),
  );
}

/** User, password and query of an address may all be credentials; where it leads may be seen. */
function withoutCredentials(text: string): string {
  // `{token}` is no part of a URL's grammar, and would not come out as it was.
  if (text.includes('{token}') || !/^[a-z][a-z+.-]*:\/\//i.test(text)) return text;
  if (!URL.canParse(text)) return hidden;
  const url = new URL(text);
  if (url.username === '' && url.password === '' && url.search === '') return text;
  const user = url.username === '' && url.password === '' ? '' : `${hidden}@`;
  return `${url.protocol}//${user}${url.host}${url.pathname}${url.search === '' ? '' : `?${hidden}`}`;
}
