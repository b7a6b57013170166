import { readdirSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { catalogue, type ProblemCode } from '../../src/problems/catalogue.ts';
import type { Answer } from './client.ts';
import type { Cast } from './fuzz-cast.ts';
import { pathOf, type Sendable } from './fuzz-requests.ts';
import { canary } from './log-canary.ts';
import type { Contract, Operation } from './openapi.ts';
import { headersOfEveryAnswer } from './wire.ts';

type Answered = Pick<Answer, 'status' | 'headers' | 'text'>;

/** What the document leaves out: pages about the service, and forms of pages. */
const undocumented = /^\/(?:docs(?:\/.*)?|openapi\.json|pages\.css)$/;
const form = /^\/auth\/(?:disown\/[^/]*|password\/reset\/[^/]*(?:\/resend)?|(?:email\/)?confirm\/[^/]*(?:\/(?:resend|logout))?)$/;
/** These may be kept by caches. */
const cacheable = /^\/(?:docs|openapi\.json|pages\.css|problems\/|\.well-known\/)/;

/** What could be said of a request that is not for a known operation, or is not read so far. */
const beforeRouting: readonly ProblemCode[] = ['malformed_request', 'uri_too_long', 'headers_too_large'];

/** Names of constraints and indexes, as a database would tell them. */
const migrations = new URL('../../migrations/', import.meta.url);
const constraints = readdirSync(migrations)
  .filter((file) => file.endsWith('.sql'))
  .flatMap((file) =>
    [...readFileSync(new URL(file, migrations), 'utf8').matchAll(/(?:CONSTRAINT|INDEX) "(\w+)"/g)].map(([, name]) => name as string),
  );

/** What no answer holds, whoever asks. */
const inside: readonly RegExp[] = [
  /\$argon2/,
  /\b(?:insert into|delete from|select [\s\S]{1,200}\bfrom|update "?\w+"? set)\b/i,
  /violates|syntax error|PGlite|drizzle|SQLSTATE|relation "/i,
  /\bat (?:async )?[\w.<>]+ \(|\.[jt]s:\d+:\d+|node_modules|node:internal|\/src\/|file:\/\//,
  new RegExp(`\\b(?:${constraints.join('|')})\\b`),
];

/** Tells what is wrong with an answer, by the document and by what holds for all answers: nothing, as it should be. */
export function createJudge(contract: Contract) {
  return function faultsOf(request: Sendable, answer: Answered, cast: Pick<Cast, 'secrets'>): string[] {
    const pathname = pathOf(request);
    const methods = contract.find(pathname);
    const operation = methods?.get(request.method);
    return [
      ...(operation === undefined ? elsewhereFaults(request, pathname, methods, answer) : contract.faultsOf(operation, answer)),
      ...commonFaults(request, pathname, answer, cast),
    ];
  };
}

/** Tells what is wrong with an answer to whatever request. */
export function commonFaults(request: Sendable, pathname: string, answer: Answered, cast: Pick<Cast, 'secrets'>): string[] {
  const path = readable(pathname);
  return [
    ...(answer.status >= 500 ? [`it fails with ${answer.status}`] : []),
    ...headerFaults(answer, path),
    ...leaks(request, answer, cast, undocumented.test(path)),
    ...problemFaults(answer),
  ];
}

/** A path as the router reads it: an encoded slash stays one, and so does what cannot be decoded. */
function readable(pathname: string): string {
  try {
    return decodeURI(pathname);
  } catch {
    return pathname;
  }
}

function elsewhereFaults(
  { method }: Sendable,
  pathname: string,
  methods: ReadonlyMap<string, Operation> | undefined,
  answer: Answered,
): string[] {
  const code = codeOf(answer);
  const path = readable(pathname);
  if (undocumented.test(path) || (method === 'POST' && form.test(path))) return [];
  if (code !== undefined && beforeRouting.includes(code as ProblemCode)) return [];
  if (method === 'HEAD') return answer.text === '' ? [] : ['HEAD has a body'];
  const expected = methods === undefined && !form.test(path) ? 'not_found' : 'method_not_allowed';
  const isRare = !/^(?:GET|POST|PUT|PATCH|DELETE|OPTIONS|TRACE)$/.test(method);
  return code === expected || (isRare && code === 'not_found') ? [] : [`${expected} is not what came, but ${answer.status} ${code}`];
}

function headerFaults({ status, headers }: Answered, pathname: string): string[] {
  const mayBeKept = status < 400 && cacheable.test(pathname);
  const isPage = headers['content-type']?.startsWith('text/html') || undocumented.test(pathname);
  const faults = Object.entries(headersOfEveryAnswer).flatMap(([name, expected]) => {
    if ((name === 'cache-control' && mayBeKept) || (name === 'content-security-policy' && isPage)) return [];
    const value = headers[name] ?? '';
    return (typeof expected === 'string' ? value === expected : expected.test(value)) ? [] : [`${name} is ${value}`];
  });
  if (!/default-src 'none'/.test(headers['content-security-policy'] ?? '')) faults.push('the content security policy lets in');
  if (headers['server'] ?? headers['x-powered-by']) faults.push('it says what it is made of');
  if (Number(/\d+/.exec(headers['retry-after'] ?? '1')?.[0]) < 1) faults.push('Retry-After is no wait');
  return faults;
}

function leaks({ url, headers, body }: Sendable, answer: Answered, { secrets }: Pick<Cast, 'secrets'>, isAsset: boolean): string[] {
  const said = [url, ...Object.values(headers), String(body ?? '')].join('\n');
  const told = `${JSON.stringify(answer.headers)}\n${answer.text}`;
  const faults = secrets()
    .filter((secret) => told.includes(secret) && !said.includes(secret))
    .map((secret) => `it tells the secret ${secret}`);
  if (!isAsset) faults.push(...inside.filter((shape) => shape.test(told)).map((shape) => `it tells ${shape}`));
  if (answer.headers['content-type']?.startsWith('text/html') && /<script>|<c4n4ry/i.test(answer.text)) faults.push('a page runs an input');
  return faults;
}

/** Problems that may say which member is at fault. */
const mayPoint: readonly string[] = ['validation_failed', 'email_taken', 'username_taken'];

/** A problem says what the catalogue says, and nothing of the request. */
function problemFaults(answer: Answered): string[] {
  const code = codeOf(answer);
  if (code === undefined) return [];
  const { errors, resend, ...document } = JSON.parse(answer.text);
  const { title, status, detail } = catalogue[code as ProblemCode] ?? {};
  const isTrue: Readonly<Record<string, boolean>> = {
    'it is as in the catalogue': isDeepStrictEqual(document, { type: `/problems/${code}`, title, status, code, detail }),
    'it comes with its own status': status === answer.status,
    'it comes as what it is': answer.headers['content-type'] === 'application/problem+json; charset=utf-8',
    'it points to the member at fault': code !== 'validation_failed' || errors?.length > 0,
    'it points to members at fault alone': errors === undefined || mayPoint.includes(code),
    'it says what to do for the unconfirmed alone': (resend !== undefined) === (code === 'unconfirmed'),
    'it repeats no input': !answer.text.toLowerCase().includes(canary),
    'it names the scheme of a session': status !== 401 || answer.headers['www-authenticate'] !== undefined,
  };
  return Object.keys(isTrue)
    .filter((what) => !isTrue[what])
    .map((what) => `of the problem ${code} it is not true that ${what}`);
}

function codeOf({ headers, text }: Answered): string | undefined {
  return headers['content-type']?.startsWith('application/problem+json') && text !== '' ? JSON.parse(text).code : undefined;
}
