import { connect } from 'node:net';
import type { Test } from 'tap';

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number;
  /** By lower-case name; of a repeated field, the last. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Long enough for any answer; a connection that is still open then has not been answered as it should. */
const patienceMs = 5000;

/** A well-formed request, after whose answer the connection is closed. */
export function requestBytes(method: string, target: string, fields: Readonly<Record<string, string>> = {}, body = ''): string {
  const all = {
    host: 'localhost',
    connection: 'close',
    ...(body !== '' && { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
    ...fields,
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${target} HTTP/1.1\r\n${head.join('')}\r\n${body}`;
}

/**
 * Writes bytes to a server as they are, well-formed or not, and reads until it closes the connection.
 *
 * @returns every answer that came, in order; none when the server only closed
 */
export function exchange(base: string, bytes: string | Buffer): Promise<RawAnswer[]> {
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.setTimeout(patienceMs, () => socket.destroy(new Error('the connection was left open')));
    socket.on('data', (chunk) => chunks.push(chunk));
    // A server that has answered may close while there is more to come.
    socket.on('error', (error: NodeJS.ErrnoException) => (chunks.length > 0 && error.code === 'ECONNRESET') || reject(error));
    socket.on('close', () => resolve(parseAnswers(Buffer.concat(chunks).toString('utf8'))));
  });
}

/** The only answer of a connection. */
export async function exchangeOne(base: string, bytes: string | Buffer): Promise<RawAnswer> {
  const [answer, ...others] = await exchange(base, bytes);
  if (answer === undefined || others.length > 0) throw new Error(`${others.length + (answer ? 1 : 0)} answers came, not one`);
  return answer;
}

/** A POST of JSON as it goes over the wire, with further fields, or others in place of its own; one that is empty is left out. */
export function postBytes(path: string, body: string, fields: Readonly<Record<string, string>> = {}): string {
  const length = String(Buffer.byteLength(body));
  const all = { host: 'localhost', connection: 'close', 'content-type': 'application/json', 'content-length': length, ...fields };
  const lines = Object.entries(all).filter(([, value]) => value !== '');
  return `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`;
}

/** Bodies are taken up to the next status line; those of this service hold none. */
export function parseAnswers(text: string): RawAnswer[] {
  return text
    .split(/(?=HTTP\/1\.1 \d{3} )/)
    .filter((part) => part !== '')
    .map((part) => {
      const end = part.indexOf('\r\n\r\n');
      const [statusLine = '', ...fields] = part.slice(0, end).split('\r\n');
      const headers = Object.fromEntries(fields.map((field) => splitAt(field, field.indexOf(':'))));
      return { status: Number(statusLine.split(' ')[1]), headers, body: part.slice(end + 4) };
    });
}

function splitAt(field: string, colon: number): [string, string] {
  return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
}

/** Headers that every answer carries on plain http, whoever wrote it. */
export const headersOfEveryAnswer: Readonly<Record<string, string | RegExp>> = {
  'cache-control': 'no-store',
  'content-security-policy': /^default-src 'none'; frame-ancestors 'none'/,
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** Asserts a refusal that is a problem with that code, and has the headers of every answer. */
export function assertProblem(t: Test, { status, headers, body }: RawAnswer, expected: { status: number; code: string }): void {
  const problem = JSON.parse(body === '' ? '{}' : body);
  t.equal(status, expected.status);
  t.match(headers['content-type'], /^application\/problem\+json/);
  t.match(problem, { type: `/problems/${expected.code}`, title: String, status: expected.status, code: expected.code, detail: String });
  t.match(headers, headersOfEveryAnswer);
  t.notOk(headers['server'] ?? headers['x-powered-by'], 'it does not say what it is made of');
}
