import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { type SQL, sql } from 'drizzle-orm';
import t from 'tap';
import { users } from '../../src/db/schema.ts';
import { startHttpService } from '../support/http.ts';
import { disownPath } from '../support/pages.ts';
import { confirmationToken, emailChangeToken, openSession, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { openTables } from '../support/tables.ts';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const random = (bytes: number) => randomBytes(bytes).toString('base64url');

/** Some two thousand texts that are not this token, nor any other: invented ones, and this one with something changed. */
function notThisToken(token: string, other: string): string[] {
  const [header = '', payload = '', signature = ''] = token.split('.');
  const [, otherPayload = '', otherSignature = ''] = other.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  const signedBy = (key: string, head = header) => {
    const content = `${head}.${encode({ ...claims, exp: claims.exp + 1 })}`;
    return `${content}.${createHmac('sha256', key).update(content).digest('base64url')}`;
  };
  const replaced = [...token].map((char, index) => {
    const next = char === '.' ? '-' : alphabet[(alphabet.indexOf(char) + 1 + (index % 60)) % 64];
    return `${token.slice(0, index)}${next}${token.slice(index + 1)}`;
  });
  const cut = [...token].map((_, index) => token.slice(0, index + 1)).slice(0, -1);
  // The last character of a signature has bits that mean nothing: another spelling of the same bytes is another token.
  const respelled = [...alphabet].map((char) => `${token.slice(0, -1)}${char}`);
  const added = [
    '=',
    '==',
    '.',
    '..',
    'A',
    '-',
    ' ',
    '\n',
    '\t',
    '%20',
    '+',
    '/',
    '\u200b',
    '!',
    '*',
    ';',
    ',',
    '"',
    `.${signature}`,
    token,
  ];
  const invented = Array.from({ length: 600 }, (_, index) => random(1 + index));
  const threeParts = Array.from({ length: 200 }, (_, index) => `${random(30)}.${random(100 + index)}.${random(32)}`);
  const genuineHeader = Array.from({ length: 100 }, () => `${header}.${random(150)}.${random(32)}`);
  const genuineContent = Array.from({ length: 200 }, (_, index) => `${header}.${payload}.${random(index % 64)}`);
  const heads = ['none', 'None', 'NONE', 'HS384', 'HS512', 'RS256', 'ES256', '', null, 1].map((alg) =>
    encode({ alg, typ: 'confirmation+jwt' }),
  );
  const changes = [
    { sub: randomUUID() },
    { exp: 4_000_000_000 },
    { iat: 0 },
    { aud: 'password-reset' },
    { iss: 'x' },
    { state: '' },
    { admin: true },
  ];
  const texts = [
    'x',
    '0',
    '-1',
    'null',
    'undefined',
    'true',
    '{}',
    '[]',
    '*',
    '%',
    "' or 1=1--",
    '../../etc/passwd',
    '😀',
    'ünï',
    'NaN',
    randomUUID(),
  ];
  return [
    ...replaced,
    ...cut,
    ...respelled,
    ...added.flatMap((text) => [token + text, text + token]),
    ...invented,
    ...threeParts,
    ...genuineHeader,
    ...genuineContent,
    ...heads.flatMap((head) => [`${head}.${payload}.${signature}`, `${head}.${payload}.`, signedBy('', head), signedBy('secret', head)]),
    ...changes.map((change) => `${header}.${encode({ ...claims, ...change })}.${signature}`),
    ...['', 'secret', 'confirmation', signature, claims.sub, claims.state, 'a'.repeat(32)].map((key) => signedBy(key)),
    ...texts,
    `${header}.${otherPayload}.${signature}`,
    `${header}.${payload}.${otherSignature}`,
    `${payload}.${header}.${signature}`,
    `${header}..${signature}`,
    `.${payload}.${signature}`,
    token.toLowerCase(),
    token.toUpperCase(),
    token.replaceAll('.', '..'),
    token.replaceAll('.', ' '),
    [...token].reverse().join(''),
    encode(token),
    Buffer.from(token).toString('hex'),
    JSON.stringify({ payload, protected: header, signature }),
    `${header}=.${payload}=.${signature}=`,
    token.replaceAll('_', '/').replaceAll('-', '+'),
  ].filter((text) => text !== token && text !== other && !/^\.*$/.test(text) && text.length <= 2048);
}

t.test('C16 what is not a mailed token confirms nothing, however close it is to one', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off' });
  const [person, neighbour] = [await register(service), await register(service)];
  const { accessToken } = await openSession(service, person);
  const [token, other] = [await confirmationToken(service, person), await confirmationToken(service, neighbour)];
  const texts = [...new Set(notThisToken(token, other))];
  t.ok(texts.length > 1900, `${texts.length} of them`);

  const wrong: string[] = [];
  const ask = async (text: string, index: number) => {
    const { status, body } =
      index % 2 === 0
        ? await service.get(`/auth/confirm/${encodeURIComponent(text)}`, { token: accessToken })
        : await service.post('/auth/confirm', { token: text, password: person.password });
    if (status !== 400 || body.code !== 'invalid_token') wrong.push(`${status} ${body.code}: ${text}`);
  };
  const atOnce = 20;
  for (let start = 0; start < texts.length; start += atOnce) {
    await Promise.all(texts.slice(start, start + atOnce).map((text, index) => ask(text, index + start)));
  }
  // Both ways: what the parity has left out.
  for (const text of texts.filter((each) => each.startsWith(token.slice(0, -1)))) {
    await ask(text, 0);
    await ask(text, 1);
  }
  t.strictSame(wrong, [], 'each of them is refused as an invalid token');
  refused(t, await service.get('/secret', { token: accessToken }), 403, 'unconfirmed', 'and none has worked');
  t.match(await service.post('/auth/confirm', { token, password: person.password }), { status: 200, body: { status: 'confirmed' } });
});

t.test('C16 a token that was given out has one spelling, of whichever kind it is', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off' });
  const person = await register(service);
  const { accessToken, refreshToken } = await openSession(service, person);
  const { password } = person;
  const reset = await resetToken(service, person);
  const change = await emailChangeToken(service, { password, token: accessToken }, `next.${person.email}`);
  const disown = (await disownPath(service, person)).replace('/auth/disown/', '');
  // Refused, but not before the token has been read.
  const newPassword = 'password';
  const kinds: Record<string, [string, (token: string) => ReturnType<typeof service.get>, code: string]> = {
    access: [accessToken, (token) => service.get('/auth/me', { token }), 'unauthenticated'],
    refresh: [refreshToken, (token) => service.post('/auth/refresh', { refreshToken: token }), 'invalid_refresh_token'],
    confirmation: [await confirmationToken(service, person), (token) => service.get(`/auth/confirm/${token}`), 'invalid_token'],
    reset: [reset, (token) => service.post('/auth/password/reset', { token, newPassword }), 'invalid_token'],
    change: [change, (token) => service.get(`/auth/email/confirm/${token}`), 'invalid_token'],
    disown: [disown, (token) => service.get(`/auth/disown/${token}`), 'invalid_token'],
  };
  for (const [kind, [token, use, code]] of Object.entries(kinds)) {
    const others = [...alphabet].map((char) => `${token.slice(0, -1)}${char}`).filter((each) => each !== token);
    const taken: string[] = [];
    for (const other of others) if ((await use(other)).body.code !== code) taken.push(other.slice(-3));
    t.strictSame(taken, [], `no other last character is as good: ${kind}`);
    t.not((await use(token)).body?.code, code, 'its own is');
  }
});

t.test('C17 whoever has the whole database has no token that works', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off' });
  const tables = openTables(t, service);
  const person = await register(service);
  const { password, email } = person;
  const held = await openSession(service, person);
  const confirmation = await confirmationToken(service, person);
  const genuine = {
    confirmation,
    disown: (await disownPath(service, person)).replace('/auth/disown/', ''),
    reset: await resetToken(service, person),
    change: await emailChangeToken(service, { password, token: held.accessToken }, `next.${email}`),
    access: held.accessToken,
    refresh: held.refreshToken,
  };
  const rowsOf = async (query: SQL) => ((await tables.execute(query)) as { rows: Record<string, unknown>[] }).rows;
  const dump: unknown[] = [];
  const all = sql`select table_schema as schema, table_name as name from information_schema.tables where table_schema in ('public', 'drizzle')`;
  for (const { schema, name } of await rowsOf(all)) {
    dump.push(...(await rowsOf(sql`select * from ${sql.identifier(String(schema))}.${sql.identifier(String(name))}`)));
  }
  t.ok(dump.length > 10, `${dump.length} rows`);
  const values = new Set<string>();
  collect(dump, values);
  const whole = [...values].join('\n');
  t.ok(whole.includes(email) && whole.includes('$argon2id$'), 'it is all there');

  for (const [kind, token] of Object.entries(genuine)) {
    const parts = [token, token.split('.').at(-1) as string, Buffer.from(token).toString('hex'), Buffer.from(token).toString('base64')];
    for (const part of parts) t.notOk(whole.includes(part), `no ${kind} token, nor its signature`);
  }
  t.notOk(whole.includes(password), 'nor the password');

  const rows = async () => JSON.stringify(await tables.select().from(users));
  const before = await rows();
  const [content = ''] = /^.*(?=\.)/.exec(confirmation) ?? [];
  const candidates = [...values].flatMap((value) => [
    value,
    // Signed with whatever is in there, as text and as bytes.
    `${content}.${createHmac('sha256', value).update(content).digest('base64url')}`,
    `${content}.${createHmac('sha256', Buffer.from(value, 'base64url')).update(content).digest('base64url')}`,
  ]);
  const works: string[] = [];
  const tryOut = async (token: string) => {
    const answers = await Promise.all([
      service.post('/auth/confirm', { token, password }),
      service.post('/auth/email/confirm', { token, password }),
      service.post('/auth/password/reset', { token, newPassword: 'from the database' }),
      service.post('/auth/disown', { token }),
      service.post('/auth/refresh', { refreshToken: token }),
      service.get('/auth/me', { headers: { authorization: `Bearer ${token.replaceAll(/[^\x21-\x7e]/g, '')}` } }),
    ]);
    if (answers.some(({ status }) => status < 400)) works.push(token);
  };
  for (const candidate of candidates.filter(({ length }) => length > 3 && length < 2048)) await tryOut(candidate);
  t.strictSame(works, [], `none of ${candidates.length} works`);
  t.equal(await rows(), before, 'and no account has changed');

  await tryOut(genuine.refresh);
  t.equal(works.length, 1, 'one that was given out does');
  t.match(await service.post('/auth/confirm', { token: confirmation, password }), { status: 200, body: { status: 'confirmed' } });
});

/** Collects every value in what a database answered, bytes in the usual spellings, and the words that longer ones are made of. */
function collect(value: unknown, values: Set<string>): void {
  if (value instanceof Uint8Array) {
    for (const encoding of ['hex', 'base64', 'base64url'] as const) values.add(Buffer.from(value).toString(encoding));
  } else if (value instanceof Date) values.add(value.toISOString());
  else if (typeof value === 'object' && value !== null) for (const member of Object.values(value)) collect(member, values);
  else if (value !== null && value !== undefined) {
    values.add(String(value));
    for (const word of String(value).match(/[\w.-]{16,}/g) ?? []) values.add(word);
  }
}
