import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import t from 'tap';
import { catalogue } from '../../src/problems/catalogue.ts';
import type { Answer } from '../support/client.ts';
import { setCookies } from '../support/cookies.ts';
import { readContract } from '../support/openapi.ts';
import { confirmedPerson } from '../support/person.ts';
import { startService } from '../support/service.ts';

interface Media {
  readonly schema: { readonly $ref?: string; readonly description?: string; readonly examples?: readonly unknown[] };
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

interface Link {
  readonly operationId: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly description: string;
}

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly tags?: string[];
  readonly security?: Record<string, string[]>[];
  readonly parameters?: readonly { readonly name: string }[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Record<string, Media> };
  readonly responses: Record<
    string,
    { description: string; headers?: Record<string, { schema: object }>; content?: Record<string, Media>; links?: Record<string, Link> }
  >;
}

function examplesOf({ example, examples, schema }: Media): readonly unknown[] {
  if (example !== undefined) return [example];
  return examples === undefined ? (schema.examples ?? []) : Object.values(examples).map(({ value }) => value);
}

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('../../', import.meta.url));
const linter = require.resolve('@redocly/cli/bin/cli.js');

/** The codes that an operation lists for a status. */
const codesOf = ({ responses }: Operation, status: string) =>
  [...(responses[status]?.description ?? '').matchAll(/`(\w+)`/g)].map(([, code]) => code);

t.test('the OpenAPI document', async (t) => {
  const service = await startService(t, { PUBLIC_URL: 'https://accounts.example.net' });
  const answer = await service.get('/openapi.json');
  const operations = Object.entries<Record<string, Operation>>(answer.body.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
  );
  const operation = (name: string): Operation => {
    const found = operations.find((each) => each.name === name);
    if (found === undefined) throw new Error(`${name} is not in the document`);
    return found.operation;
  };

  t.test('is served as cacheable JSON, for the configured address', async (t) => {
    t.equal(answer.status, 200);
    t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': /^public, max-age=\d+$/ });
    t.match(answer.body, { openapi: /^3\.1\./, servers: [{ url: 'https://accounts.example.net' }] });
    t.equal(answer.text, JSON.stringify(service.app.swagger()));
  });

  t.test('is valid by the rules of a linter that knows nothing of the service', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'latchkey-openapi-'));
    t.teardown(() => rm(directory, { recursive: true }));
    const write = async (name: string, document: unknown) => {
      const path = join(directory, name);
      await writeFile(path, JSON.stringify(document));
      return path;
    };
    const lint = async (path: string) => {
      const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
      const argv = [linter, 'lint', path, '--extends=recommended', '--format=json'];
      const { stdout } = await promisify(execFile)(process.execPath, argv, { env, cwd: root }).catch(
        (failed: { stdout: string }) => failed,
      );
      return JSON.parse(stdout) as {
        totals: { errors: number; warnings: number; ignored: number };
        problems: { severity: string; ruleId: string }[];
      };
    };
    const [asServed, committed, spoiled] = await Promise.all([
      write('served.json', answer.body).then(lint),
      lint('openapi/openapi.json'),
      write('spoiled.json', { ...answer.body, paths: { '/{missing}': { get: {} } } }).then(lint),
    ]);
    // Warnings, too. What is left, and why, says .redocly.lint-ignore.yaml.
    t.strictSame([asServed.problems, committed.problems], [[], []]);
    t.equal(asServed.totals.ignored, 0);
    t.equal(committed.totals.ignored, 1, 'what it says is needed');
    t.ok(spoiled.totals.errors > 0 && spoiled.totals.warnings > 0, 'the linter does find faults');
  });

  t.test('gives every operation an id of its own, a summary and a tag', async (t) => {
    const ids = operations.map((each) => each.operation.operationId);
    t.equal(new Set(ids).size, ids.length);
    for (const { name, operation } of operations) {
      t.match(operation, { operationId: /^[a-z][A-Za-z]+$/, summary: /^[A-Z]/, tags: [/^[A-Z]/] }, name);
      t.ok(
        answer.body.tags.some((tag: { name: string }) => tag.name === operation.tags?.[0]),
        `${name} has a tag that is described`,
      );
    }
  });

  t.test('gives every body of a request an example, which fits its schema', async (t) => {
    const ajv = new Ajv2020({ strict: false });
    formats.default(ajv);
    for (const { name, operation } of operations) {
      const media = operation.requestBody?.content['application/json'];
      if (media === undefined) continue;
      const mayBeNothing = ajv.validate(media.schema, null);
      t.equal(operation.requestBody?.required === true, !mayBeNothing, `${name} demands a body only if it needs one`);
      t.ok(examplesOf(media).length > 0, `${name} has an example`);
      for (const example of examplesOf(media)) t.ok(ajv.validate(media.schema, example), `${name}: ${ajv.errorsText()}`);
    }
  });

  t.test('demands every body but those that may be left out', async (t) => {
    const optional = operations.filter(({ operation: { requestBody } }) => requestBody && !requestBody.required).map(({ name }) => name);
    t.strictSame(optional, ['POST /auth/refresh', 'POST /auth/logout', 'POST /auth/confirm/resend']);
  });

  t.test('gives every body of an answer an example, which fits its schema', async (t) => {
    const contract = readContract(answer.body);
    const answers = contract.operations.flatMap((described) =>
      Object.entries(operation(described.name).responses).flatMap(([status, { content }]) => {
        const media = content?.['application/json'];
        return media === undefined ? [] : [{ described, status: Number(status), examples: examplesOf(media) }];
      }),
    );
    const headers = { 'content-type': 'application/json' };
    for (const { described, status, examples } of answers) {
      t.ok(examples.length > 0, `${described.name} has an example of ${status}`);
      for (const example of examples)
        t.strictSame(contract.faultsOf(described, { status, headers, text: JSON.stringify(example) }), [], described.name);
    }
  });

  t.test('has an example of each problem, as it is sent', async (t) => {
    const contract = readContract(answer.body);
    const headers = { 'content-type': 'application/problem+json' };
    for (const [code, { value }] of Object.entries<{ value: { status: number } }>(answer.body.components.examples)) {
      const described = contract.operations.find(({ responses }) => responses[value.status]?.description.includes(`\`${code}\``));
      if (described === undefined) throw new Error(`no operation answers ${code}`);
      t.strictSame(contract.faultsOf(described, { status: value.status, headers, text: JSON.stringify(value) }), [], code);
      t.match(value, { code, status: catalogue[code as keyof typeof catalogue].status });
    }
    const refusal = await service.post('/auth/register', {
      email: 'ada@example.com',
      username: '1ada',
      password: 'correct horse battery staple',
    });
    t.strictSame(refusal.body, answer.body.components.examples.validation_failed.value);
  });

  t.test('begins with a walk, by operations that there are', async (t) => {
    const withMailbox = await startService(t, { SMTP_URL: '' });
    const beforeAnother = await startService(t, { UPSTREAM_URL: 'http://127.0.0.1:9' });
    const documents = [(await withMailbox.get('/openapi.json')).body, answer.body, (await beforeAnother.get('/openapi.json')).body];
    const walks = documents.map(({ info, paths }) => {
      const named = [...info.description.matchAll(/`([A-Z]+) (\/[^`]*)`/g)].map(([, method, path]) => `${method} ${path}`);
      for (const name of named) {
        const [method = '', path = ''] = name.split(' ');
        t.ok(paths[path]?.[method.toLowerCase()], name);
      }
      return named;
    });
    t.ok(walks[0]?.includes('GET /dev/mail') && walks[0].includes('GET /secret'));
    t.notMatch(answer.body.info.description, '/dev/mail', 'where there is no mailbox, nobody is sent to it');
    for (const { tags, paths } of documents) {
      const used = Object.values<Record<string, Operation>>(paths).flatMap((item) =>
        Object.values(item).flatMap((each) => each.tags ?? []),
      );
      t.strictSame(new Set(tags.map(({ name }: { name: string }) => name)), new Set(used), 'every tag has operations');
    }
  });

  t.test('links operations that there are, by the parameters that they have', async (t) => {
    const links = operations.flatMap(({ operation }) =>
      Object.values(operation.responses).flatMap((each) => Object.values(each.links ?? {})),
    );
    t.ok(links.length > 15);
    for (const { operationId, parameters = {}, description } of links) {
      const target = operations.find((each) => each.operation.operationId === operationId)?.operation;
      const names = (target?.parameters ?? []).map((each) => each.name);
      t.ok(target !== undefined && Object.keys(parameters).every((name) => names.includes(name)), `${operationId}: ${description}`);
    }
  });

  t.test('lists the problems of every operation, by code, under their status', async (t) => {
    for (const { name, operation } of operations) {
      const statuses = Object.keys(operation.responses).filter((status) => Number(status) >= 400);
      for (const status of ['400', '500']) t.ok(statuses.includes(status), `${name} lists ${status}`);
      for (const status of statuses) {
        const codes = codesOf(operation, status);
        t.ok(codes.length > 0, `${name} names the codes of ${status}`);
        for (const code of codes) t.equal(catalogue[code as keyof typeof catalogue]?.status, Number(status), `${name} ${code}`);
        const media = operation.responses[status]?.content?.['application/problem+json'];
        t.match(media, { schema: { $ref: '#/components/schemas/Problem' } });
        t.strictSame(Object.keys(media?.examples ?? {}), codes, `${name} has an example of each`);
      }
    }
    for (const { operation } of operations.filter((each) => each.operation.requestBody))
      t.match([codesOf(operation, '413'), codesOf(operation, '415')], [['payload_too_large'], ['unsupported_media_type']]);
  });

  t.test('lists the header fields that answers carry besides those that all carry', async (t) => {
    const fieldsOf = (name: string, status: number) =>
      Object.keys(operation(name).responses[status]?.headers ?? {}).map((field) => field.toLowerCase());
    const usual = new Set(Object.keys((await service.get('/health/live')).headers));
    const assertListed = (name: string, { status, headers }: Answer) => {
      const fields = Object.keys(headers).filter((field) => !usual.has(field));
      t.ok(fields.length > 0 && fields.every((field) => fieldsOf(name, status).includes(field)), `${name} ${status}: ${fields}`);
    };
    const person = await confirmedPerson(service);
    const { email, password, token } = person;
    const headers = { 'sec-fetch-site': 'same-origin' };
    assertListed('GET /auth/verify', await service.get('/auth/verify', { token }));
    const login = await service.post('/auth/login', { email, password, transport: 'cookie' }, { headers });
    assertListed('POST /auth/login', login);
    const cookie = setCookies(login)
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
    assertListed('POST /auth/refresh', await service.post('/auth/refresh', undefined, { headers: { ...headers, cookie } }));
    assertListed('POST /auth/logout', await service.post('/auth/logout', undefined, { token }));
    t.strictSame(fieldsOf('GET /auth/verify', 204), ['x-auth-user-id', 'x-auth-username', 'x-auth-email', 'x-auth-role']);
    t.strictSame(fieldsOf('POST /auth/register', 201), ['ratelimit', 'ratelimit-policy']);
    t.strictSame(fieldsOf('GET /auth/me', 200), []);
  });

  t.test('lists what the access level of a route brings', async (t) => {
    const secret = operation('GET /secret');
    t.same([codesOf(secret, '401'), codesOf(secret, '403')], [['unauthenticated'], ['unconfirmed']]);
    t.strictSame(secret.security, [{ bearer: [] }, { cookie: [] }]);
    const me = operation('GET /auth/me');
    t.same([codesOf(me, '401'), codesOf(me, '403')], [['unauthenticated'], []], 'what only reads is let in from anywhere');
    t.strictSame(me.security, [{ bearer: [] }, { cookie: [] }]);
    t.same(codesOf(operation('PATCH /auth/me'), '403'), ['cross_origin_rejected']);
    const welcome = operation('GET /');
    t.same([codesOf(welcome, '401'), codesOf(welcome, '403')], [[], ['unconfirmed']]);
    t.strictSame(welcome.security, [{}, { bearer: [] }, { cookie: [] }]);
    const link = operation('GET /auth/confirm/{token}');
    t.strictSame(link.security, [{}, { bearer: [] }, { cookie: [] }], 'a mailed link may come with a session');
    const login = operation('POST /auth/login');
    t.same([codesOf(login, '401'), codesOf(login, '403')], [['invalid_credentials'], ['cross_origin_rejected']]);
    t.strictSame(login.security, []);
  });

  t.test('lists what a route may answer of its own', async (t) => {
    const register = operation('POST /auth/register');
    t.same(codesOf(register, '409').sort(), ['email_taken', 'username_taken']);
    t.ok(codesOf(register, '400').includes('weak_password'));
    const confirm = operation('GET /auth/confirm/{token}');
    t.ok(codesOf(confirm, '400').includes('invalid_token'));
    t.same(
      [codesOf(confirm, '401'), codesOf(confirm, '403'), codesOf(confirm, '410')],
      [['unauthenticated'], ['wrong_account'], ['expired_token']],
    );
    const resend = operation('POST /auth/confirm/resend');
    t.same([codesOf(resend, '409'), codesOf(resend, '429')], [['already_confirmed'], ['rate_limited']]);
  });
});
