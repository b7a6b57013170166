import { METHODS } from 'node:http';
import fc from 'fast-check';
import { aptToken, binaryText, bodyFor, fromSchema, wildBody } from './fuzz-bodies.ts';
import { type Cast, known, knownNames, type Role, roles } from './fuzz-cast.ts';
import { canary } from './log-canary.ts';
import type { Operation } from './openapi.ts';

type Headers = Readonly<Record<string, string>>;

/** A request as it was thought up: what is only known once there are people is still named in it. */
export interface Draft {
  readonly method: string;
  readonly url: string;
  readonly role: Role;
  readonly headers: Headers;
  readonly body: string | Uint8Array | undefined;
}

/** A request that can be sent. */
export interface Sendable {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: string | Buffer | undefined;
}

/** Heads of requests that say something odd; the last of two that name the same field counts. */
const oddHeaders: readonly Headers[] = [
  {},
  { 'content-type': 'text/plain' },
  { 'content-type': 'application/x-www-form-urlencoded' },
  { 'content-type': 'multipart/form-data; boundary=x' },
  { 'content-type': 'application/json; charset=utf-16' },
  { 'content-type': `application/${canary}` },
  { 'content-type': canary },
  { 'content-encoding': 'gzip' },
  { accept: 'text/html' },
  { accept: 'text/html', 'sec-purpose': 'prefetch' },
  { accept: `*/*;q=${canary}`, 'accept-language': `${canary};q=2, de` },
  { 'user-agent': `${canary}/1.0` },
  { 'user-agent': '' },
  {
    'x-forwarded-for': `${canary}, 203.0.113.9`,
    'x-forwarded-host': `${canary}.example`,
    'x-forwarded-proto': 'gopher',
    forwarded: canary,
  },
  { 'x-http-method-override': 'DELETE', 'x-original-url': '/secret', 'x-rewrite-url': '/secret' },
  { host: `${canary}.example:99999` },
  { origin: `https://${canary}.example`, 'sec-fetch-site': 'cross-site' },
  { origin: 'null', 'access-control-request-method': 'POST', 'access-control-request-headers': canary },
  { 'x-request-id': canary, 'request-id': canary, traceparent: canary },
  { 'if-none-match': '*', 'if-modified-since': canary, range: 'bytes=9-1,0-', 'if-match': `"${canary}"` },
  { authorization: `Bearer ${canary}` },
  { authorization: `Bearer ${known('stranger.confirmation')}` },
  { authorization: `Basic ${canary}` },
  { authorization: `Bearer ${known('confirmed.refresh')}` },
  { cookie: `access=${canary}; access=${canary}2` },
  { cookie: `refresh=${known('me.refresh')}; __Host-access=${canary}` },
  { cookie: `access=${known('me.access')}`, 'sec-fetch-site': 'same-origin' },
  { cookie: `;;=${canary}; =; access` },
  { expect: canary, te: canary, upgrade: canary, connection: 'upgrade' },
  { 'x-long': canary.repeat(500) },
];
const html: Headers = { accept: 'text/html,application/xhtml+xml' };

const role = fc.constantFrom(...roles);
/** Whoever an operation is for, more often than anybody else. */
const roleFor = ({ path }: Operation) => {
  const apt: Role = /^\/admin/.test(path) ? 'admin' : /confirm|disown/.test(path) && !/email/.test(path) ? 'unconfirmed' : 'confirmed';
  return fc.oneof({ arbitrary: fc.constant(apt), weight: 3 }, { arbitrary: role, weight: 2 });
};

const awkwardParts = [
  canary,
  '',
  '.',
  '..',
  '%2e%2e',
  '%00',
  '%2F',
  '%ff',
  '%zz',
  '%',
  '⟦me.id⟧%00',
  'x'.repeat(5000),
  "'--",
  '%E2%80%AE',
  '*',
  ':token',
];
const pathPart = fc.oneof(
  fc.constantFrom(...awkwardParts),
  fc.constantFrom(...knownNames).map(known),
  binaryText.map((text) => encodeURIComponent(`${canary}${text.toWellFormed()}`)),
  fc.uuid(),
);
const aptParts: Readonly<Record<string, readonly string[]>> = {
  id: ['me.session', 'stranger.id', 'unconfirmed.id', 'me.id'].map(known),
  code: ['unconfirmed', 'validation_failed', canary],
};

function fillPath({ path }: Operation, part: (name: string) => fc.Arbitrary<string>): fc.Arbitrary<string> {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string);
  return fc.tuple(...names.map(part)).map((parts) => parts.reduce((filled, each) => filled.replace(/\{\w+\}/, () => each), path));
}
const aptPath = (operation: Operation) =>
  fillPath(operation, (name) => (name === 'token' ? fc.constant(aptToken(operation.path)) : fc.constantFrom(...(aptParts[name] ?? []))));

/** How long to wait for a mail is asked for, but never waited. */
const waiting = fc.constantFrom('0', '31', canary);
function query({ parameters }: Operation): fc.Arbitrary<string> {
  const members = parameters.filter((each) => each.in === 'query');
  if (members.length === 0) return fc.constant('');
  const pair = ({ name, schema }: (typeof members)[number]) =>
    (name === 'wait' ? waiting : fromSchema(schema)).map((value) => `${name}=${encodeURIComponent(String(value).toWellFormed())}`);
  return fc
    .subarray([...members])
    .chain((some) => fc.tuple(...some.map(pair)).map((pairs) => (pairs.length > 0 ? `?${pairs.join('&')}` : '')));
}
const oddQueries = [
  '',
  '?',
  `?${canary}`,
  `?${canary}=1`,
  `?limit=${canary}`,
  '?limit=0',
  '?limit=1&limit=2',
  '?cursor=x',
  `?q=${'x'.repeat(255)}`,
  '?q=%00',
  '?q=%ff',
  '?__proto__=1',
  '?access_token=⟦me.access⟧',
  '?%',
];

const jsonType = { 'content-type': 'application/json' };
const isBodyless = ({ body }: Operation) => body === undefined || body.anyOf?.some(({ type }) => type === 'null') === true;

/** What an operation is there for. */
function validRequest(operation: Operation): fc.Arbitrary<Draft> {
  const { body, path, method } = operation;
  const none = fc.constant(undefined);
  return fc.record({
    method: fc.constant(method),
    url: fc.tuple(aptPath(operation), query(operation)).map((parts) => parts.join('')),
    role: roleFor(operation),
    headers: fc.oneof({ arbitrary: fc.constant<Headers>({}), weight: 4 }, { arbitrary: fc.constant(html), weight: 1 }),
    body: body === undefined ? none : isBodyless(operation) ? fc.oneof(none, bodyFor(body, path).valid) : bodyFor(body, path).valid,
  });
}

/** What an operation is not quite there for. */
function nearlyValidRequest(operation: Operation): fc.Arbitrary<Draft> {
  const { body, path, method } = operation;
  const bodies =
    body === undefined
      ? wildBody
      : fc.oneof(bodyFor(body, path).nearlyValid, bodyFor(body, path).nearlyValid, bodyFor(body, path).valid, wildBody);
  return fc.record({
    method: fc.constant(method),
    url: fc
      .tuple(
        fc.oneof(
          aptPath(operation),
          fillPath(operation, () => pathPart),
        ),
        fc.oneof(query(operation), fc.constantFrom(...oddQueries)),
      )
      .map((parts) => parts.join('')),
    role,
    headers: fc.oneof(fc.constant<Headers>({}), fc.constantFrom(...oddHeaders)),
    body: bodies,
  });
}

/** Other spellings of a path, which stand for the same one, for another, or for none. */
const respellings: readonly ((path: string) => string)[] = [
  (path) => `${path}/`,
  (path) => `/${path}`,
  (path) => path.toUpperCase(),
  (path) => path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  (path) => path.replaceAll('/', '%2f'),
  (path) => `/x/..${path}`,
  (path) => `${path};x=y`,
  (path) => `${path}.json`,
  (path) => `${path}/resend`,
  (path) => `${path}/logout`,
  (path) => path,
];
const elsewhere = [
  '/',
  '/docs',
  '/docs/static/index.html',
  '/docs/static/..%2f..%2fpackage.json',
  '/docs/json',
  '/openapi.json',
  '/pages.css',
  '/metrics',
  '/.env',
  `/${canary}`,
  '*',
  '/health',
];

function wildRequest(operations: readonly Operation[]): fc.Arbitrary<Draft> {
  const paths = fc.constantFrom(...operations).chain((operation) =>
    fc.oneof(
      aptPath(operation),
      fillPath(operation, () => pathPart),
    ),
  );
  const respelt = fc.tuple(paths, fc.constantFrom(...respellings)).map(([path, respell]) => respell(path));
  const random = fc.array(pathPart, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
  return fc.record({
    method: fc.oneof(
      fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'),
      fc.constantFrom(...METHODS.filter((each) => each !== 'CONNECT')),
    ),
    url: fc.tuple(fc.oneof(respelt, random, fc.constantFrom(...elsewhere)), fc.constantFrom(...oddQueries)).map((parts) => parts.join('')),
    role,
    headers: fc.tuple(fc.constantFrom(...oddHeaders), fc.constantFrom(...oddHeaders)).map(([one, other]) => ({ ...one, ...other })),
    body: wildBody,
  });
}

/** Every operation's requests, valid, nearly so, and wild. */
export function anyRequest(operations: readonly Operation[]): fc.Arbitrary<Draft> {
  return fc.oneof(
    { arbitrary: fc.oneof(...operations.map(validRequest)), weight: 2 },
    { arbitrary: fc.oneof(...operations.map(nearlyValidRequest)), weight: 4 },
    { arbitrary: wildRequest(operations), weight: 3 },
  );
}

/** Makes of a draft what is sent. Headers hold what a header can hold. */
export function sendable({ method, url, role: me, headers, body }: Draft, cast: Cast): Sendable {
  const { pathname, search } = URL.canParse(cast.fill(url, me), 'http://localhost')
    ? new URL(cast.fill(url, me), 'http://localhost')
    : { pathname: '/', search: '' };
  const session = me === 'nobody' ? {} : { authorization: `Bearer ${cast.fill(known('me.access'), me)}` };
  const filled = Object.entries({ ...(body !== undefined && jsonType), ...session, ...headers }).map(([name, value]) => [
    name,
    cast.fill(value, me),
  ]);
  return {
    method,
    url: `${pathname}${search}`,
    headers: Object.fromEntries(filled),
    body: typeof body === 'string' ? cast.fill(body, me) : body && Buffer.from(body),
  };
}

/** Where a request goes; not resolved, since one that begins with two slashes would name a host. */
export function pathOf({ url }: Sendable): string {
  return new URL(`http://localhost${url}`).pathname;
}

/** That of injected requests, in which the sessions were begun: they are refused to another client. */
const userAgent = 'lightMyRequest';

/**
 * The bytes of a request for a socket, after which the connection ends: with the address as it was thought up, and maybe
 * with damage in its first line, or as a field of its own. What tells its length is left as it is.
 */
export function headOf(
  { url, role: me }: Draft,
  { method, headers, body = '' }: Sendable,
  cast: Cast,
  damage: Uint8Array | null,
  at: number,
): Buffer {
  const length = Buffer.byteLength(body);
  const framing = {
    host: 'localhost',
    'user-agent': userAgent,
    ...headers,
    connection: 'close',
    ...(length > 0 && { 'content-length': String(length) }),
  };
  const fields = Object.entries(framing).map(([name, value]) => `${name}: ${value}\r\n`);
  const line = Buffer.from(`${method} ${cast.fill(url, me)} HTTP/1.1`);
  const noise = Buffer.from(damage ?? []).map((byte) => (byte === 10 || byte === 13 ? 0 : byte));
  const cut = at % line.length;
  const isInLine = at % 2 === 0;
  return Buffer.concat([
    ...(isInLine ? [line.subarray(0, cut), noise, line.subarray(cut)] : [line]),
    Buffer.from('\r\n'),
    ...(isInLine || noise.length === 0 ? [] : [noise, Buffer.from(': x\r\n')]),
    Buffer.from(`${fields.join('')}\r\n`),
    Buffer.from(body),
  ]);
}
