import t from 'tap';
import { catalogue, isProblemCode, type ProblemCode } from '../../src/problems/catalogue.ts';
import { problemFromError } from '../../src/problems/from-error.ts';
import { Problem } from '../../src/problems/problem.ts';

t.test('every problem has the status that the contract gives to its code', async (t) => {
  const contract: Readonly<Record<number, string>> = {
    400: 'malformed_request validation_failed invalid_token weak_password ambiguous_credentials',
    401: 'unauthenticated invalid_credentials invalid_refresh_token',
    403: 'unconfirmed wrong_account wrong_password forbidden cross_origin_rejected',
    404: 'not_found',
    405: 'method_not_allowed',
    409: 'email_taken username_taken already_confirmed last_administrator',
    410: 'expired_token used_token',
    413: 'payload_too_large',
    414: 'uri_too_long',
    415: 'unsupported_media_type',
    429: 'rate_limited',
    431: 'headers_too_large',
    500: 'internal_error',
    502: 'bad_gateway',
    503: 'service_unavailable',
    504: 'gateway_timeout',
  };
  const statusOf = new Map(Object.entries(contract).flatMap(([status, codes]) => codes.split(' ').map((code) => [code, Number(status)])));
  for (const [code, { status, title, detail }] of Object.entries(catalogue)) {
    t.equal(status, statusOf.get(code), code);
    t.match([title, detail], [/\w/, /\w/]);
  }
});

t.test('a problem is a document of RFC 9457, from the catalogue alone', async (t) => {
  const problem = new Problem('not_found', { cause: new Error('select * from secrets') });
  t.strictSame(JSON.parse(JSON.stringify(problem)), {
    type: '/problems/not_found',
    title: catalogue.not_found.title,
    status: 404,
    code: 'not_found',
    detail: catalogue.not_found.detail,
  });
  t.match(problem.headers, { 'content-type': /^application\/problem\+json/ });
  t.match(problem.cause, { message: 'select * from secrets' });
});

t.test('an occurrence may have its own detail, faults, members and headers', async (t) => {
  const errors = [{ pointer: '/email', code: 'email_taken', message: 'is taken' }];
  const problem = new Problem('email_taken', { detail: 'of its own', errors, extensions: { next: '/auth/login' }, headers: { x: 'y' } });
  t.match(problem.toJSON(), { code: 'email_taken', detail: 'of its own', errors, next: '/auth/login' });
  t.match(problem.headers, { x: 'y' });
});

t.test('every 401 names a scheme, and nothing else does', async (t) => {
  for (const code of Object.keys(catalogue) as ProblemCode[]) {
    const { status, headers } = new Problem(code);
    t.equal('www-authenticate' in headers, status === 401, code);
  }
});

t.test('the time to come back is in whole seconds, and at least one', async (t) => {
  const retryAfter = (retryAfterSeconds: number) => new Problem('rate_limited', { retryAfterSeconds }).headers['retry-after'];
  t.same([0, -5, 0.2, 1, 59.01].map(retryAfter), ['1', '1', '1', '1', '60']);
  t.notOk('retry-after' in new Problem('rate_limited').headers);
});

t.test('a code is one of the catalogue, and nothing that objects inherit', async (t) => {
  t.ok(isProblemCode('not_found'));
  for (const text of ['', 'Not_Found', 'toString', '__proto__', 'constructor', 'hasOwnProperty']) t.notOk(isProblemCode(text), text);
});

t.test('what is not known to be the client’s fault is internal, and says nothing of what happened', async (t) => {
  const secret = 'duplicate key (ada@example.com)';
  for (const error of [
    new Error(secret),
    Object.assign(new Error(secret), { code: '23505' }),
    Object.assign(new Error(secret), { statusCode: 500 }),
    secret,
    { statusCode: 503 },
    {},
  ]) {
    const problem = problemFromError(error);
    t.equal(problem.code, 'internal_error');
    t.equal(problem.cause, error, 'the log is told');
    t.notMatch(JSON.stringify(problem), 'ada');
  }
});

t.test('the refusals of the framework and its plugins are problems of their kind', async (t) => {
  const withStatus = (statusCode: number, code?: string) => Object.assign(new Error('in words of its own'), { statusCode, code });
  const expected: [unknown, ProblemCode][] = [
    [withStatus(400, 'FST_ERR_BAD_URL'), 'malformed_request'],
    [withStatus(414, 'FST_ERR_MAX_PARAM_LENGTH'), 'uri_too_long'],
    [withStatus(413, 'FST_ERR_CTP_BODY_TOO_LARGE'), 'payload_too_large'],
    [withStatus(415, 'FST_ERR_CTP_INVALID_MEDIA_TYPE'), 'unsupported_media_type'],
    [withStatus(400), 'malformed_request'],
    [withStatus(416), 'malformed_request'],
    [withStatus(403), 'not_found'],
    [withStatus(404), 'not_found'],
    [new Problem('weak_password'), 'weak_password'],
  ];
  for (const [error, code] of expected) {
    const problem = problemFromError(error);
    t.equal(problem.code, code);
    t.notMatch(JSON.stringify(problem), 'words of its own');
  }
});

t.test('faults of validation say where and what, and neither name nor repeat what was sent', async (t) => {
  const validation = [
    { instancePath: '', keyword: 'required', params: { missingProperty: 'email' }, message: 'in words of its own' },
    { instancePath: '', keyword: 'additionalProperties', params: { additionalProperty: 'c4n4ry' }, message: 'c4n4ry' },
    { instancePath: '/username', keyword: 'pattern', params: {}, message: 'must match pattern' },
    { instancePath: '/username', keyword: 'custom', params: {} },
  ];
  const problem = problemFromError({ validation }).toJSON();
  t.match(problem, { code: 'validation_failed' });
  t.match(problem.errors, [
    { pointer: '/email', code: 'required' },
    { pointer: '', code: 'additionalProperties' },
    { pointer: '/username', code: 'pattern', message: 'must match pattern' },
    { pointer: '/username', code: 'custom', message: String },
  ]);
  t.notMatch(JSON.stringify(problem), 'c4n4ry');
  t.equal(problemFromError({ validation: Array(900).fill(validation[2]) }).toJSON().errors?.length, 16);
});
