import t from 'tap';
import { logIn, newDetails, openSession, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

/** The operations that need no database; all others say that it may be away. */
const independent = ['GET /dev/mail', 'GET /dev/mail/{id}', 'GET /problems/{code}', 'GET /health/live', 'GET /.well-known/jwks.json'];

t.test('the OpenAPI document tells of each operation whether it may be answered 503', async (t) => {
  const service = await startService(t, { SMTP_URL: '' });
  const { paths } = (await service.get('/openapi.json')).body;
  const without = Object.entries<Record<string, { responses: object }>>(paths).flatMap(([path, item]) =>
    Object.entries(item).flatMap(([method, { responses }]) => ('503' in responses ? [] : [`${method.toUpperCase()} ${path}`])),
  );
  t.strictSame(without.sort(), independent.sort());
});

t.test('without the database, operations are answered as the document tells', async (t) => {
  const service = await startService(t);
  const person = await register(service);
  const { refreshToken } = await openSession(service, person);
  const token = await logIn(service, person);
  const reset = await resetToken(service, person);
  const { db } = service.app.services;
  const away = () => {
    throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  };
  Object.assign(db, { select: away, insert: away, update: away, delete: away, execute: away, transaction: away });

  // The client holds each of these answers against the document.
  const answers = await Promise.all([
    service.post('/auth/register', newDetails()),
    service.post('/auth/login', { email: person.email, password: person.password }),
    service.post('/auth/refresh', { refreshToken }),
    service.post('/auth/logout', undefined, { token }),
    service.get('/', { token }),
    service.get('/secret', { token }),
    service.get('/auth/me', { token }),
    service.request('PATCH', '/auth/me', { token, body: { locale: 'de' } }),
    service.post('/auth/confirm/resend', undefined, { token }),
    service.post('/auth/password/forgot', { email: person.email }),
    service.post('/auth/password/reset', { token: reset, newPassword: 'another horse and its staple' }),
    service.get('/admin/users', { token }),
    service.get('/auth/verify', { token }),
    service.get('/health/ready'),
  ]);
  for (const answer of answers) refused(t, answer, 503, 'service_unavailable');
  for (const path of ['/health/live', '/.well-known/jwks.json', '/problems/unconfirmed'])
    t.equal((await service.get(path)).status, 200, path);
});
