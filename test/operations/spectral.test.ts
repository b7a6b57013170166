import { createRequire } from 'node:module';
import t from 'tap';
import { startService } from '../support/service.ts';

// These packages are CommonJS whose types do not suit ES modules.
const require = createRequire(import.meta.url);
const { Spectral, Document } = require('@stoplight/spectral-core');
const { Json } = require('@stoplight/spectral-parsers');
const { oas } = require('@stoplight/spectral-rulesets');
const owasp = require('@stoplight/spectral-owasp-ruleset');

interface Finding {
  readonly code: string;
  readonly message: string;
  readonly path: readonly (string | number)[];
}

/** What the rules find and we leave, with the reason; `where` is matched with the path into the document. */
const exceptions: readonly { rule: string; where: RegExp; why: string }[] = [
  {
    rule: 'owasp:api2:2023-no-credentials-in-url',
    where: /^paths \/(?:auth|dev)\S*\{token\} get parameters 0 name$/,
    why: 'the token of a mailed link: whoever has the mail has it, and it does nothing without the session or the password of its account',
  },
  {
    rule: 'owasp:api2:2023-write-restricted',
    where: /^paths \/auth\/(?:register|login|refresh|disown|confirm|email\/confirm|password\/(?:forgot|reset)) post security$/,
    why: 'what makes a session, or carries a proof of its own, cannot ask for one',
  },
  {
    rule: 'owasp:api2:2023-read-restricted',
    where: /^paths \/(?:problems|health|\.well-known|dev|auth\/(?:confirm|disown|password\/reset|email\/confirm)\/\{token\}|auth\/verify)/,
    why: 'for everybody: what problems mean, health, public keys, the pages of mailed links, the mailbox of a developer; a proxy is refused by verify itself',
  },
  { rule: 'owasp:api4:2023-rate-limit', where: /./, why: 'the fields come with routes that have a limit, and tell nothing elsewhere' },
  { rule: 'owasp:api4:2023-rate-limit-responses-429', where: /./, why: 'routes without a limit never answer 429' },
  {
    rule: 'owasp:api4:2023-string-restricted',
    where: /./,
    why: 'names, words and passwords are of any form; all have a longest length, and all that have a form say so',
  },
  {
    rule: 'owasp:api4:2023-array-limit',
    where: /^paths \/auth\/me\/export get/,
    why: 'an export holds all that is stored, however much it is',
  },
  {
    rule: 'owasp:api5:2023-admin-security-unique',
    where: /^paths \/admin/,
    why: 'an administrator has the same kind of session; the role is in the account, and 403 `forbidden` is described',
  },
  {
    rule: 'owasp:api8:2023-define-cors-origin',
    where: /./,
    why: 'these fields are for the origins in CORS_ORIGINS alone, and tell a client nothing that the browser does not decide for it',
  },
  {
    rule: 'owasp:api8:2023-define-error-responses-401',
    where: /./,
    why: 'routes that ask for no session never answer 401',
  },
];

const isExcepted = ({ code, path }: Finding) => exceptions.filter(({ rule, where }) => rule === code && where.test(path.join(' ')));

t.test('the OpenAPI document follows the rules of Spectral and of OWASP', async (t) => {
  const service = await startService(t, { PUBLIC_URL: 'https://accounts.example.net', SMTP_URL: '' });
  const { text } = await service.get('/openapi.json');
  const spectral = new Spectral();
  spectral.setRuleset({
    extends: [
      [oas, 'recommended'],
      [owasp, 'recommended'],
    ],
  });
  const lint = async (document: string): Promise<Finding[]> => spectral.run(new Document(document, Json, 'openapi.json'));

  const found = await lint(text);
  const left = found.filter((finding) => isExcepted(finding).length === 0);
  t.strictSame(
    left.map(({ code, message, path }) => `${code}: ${message} (${path.join(' ')})`),
    [],
  );
  const used = new Set(found.flatMap(isExcepted));
  t.strictSame(
    exceptions.filter((each) => !used.has(each)).map(({ rule }) => rule),
    [],
    'every exception is needed',
  );
  const spoilt = await lint(text.replaceAll('"operationId":"login"', '"operationId":"log in"'));
  t.ok(spoilt.length > found.length, 'they do find faults');
});
