import t from 'tap';
import { confirmedPerson, logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

t.test('the sample routes', async (t) => {
  const service = await startService(t);
  const confirmed = await confirmedPerson(service);
  const unconfirmed = await logIn(service, await register(service));

  t.test('the greeting is for strangers and for the confirmed', async (t) => {
    const stranger = await service.get('/');
    t.equal(stranger.status, 200);
    t.match(stranger.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' });
    t.strictSame(stranger.body, { message: 'Hello, Stranger!' });
    t.strictSame((await service.get('/', { token: confirmed.token })).body, { message: `Hello, ${confirmed.username}!` });
    refused(t, await service.get('/', { token: unconfirmed }), 403, 'unconfirmed');
  });

  t.test('the secret is for the confirmed alone', async (t) => {
    refused(t, await service.get('/secret'), 401, 'unauthenticated');
    const answer = await service.get('/secret', { token: unconfirmed });
    refused(t, answer, 403, 'unconfirmed');
    t.strictSame(answer.body.resend, { method: 'POST', href: '/auth/confirm/resend' });
    t.strictSame((await service.get('/secret', { token: confirmed.token })).body, { message: 'Only confirmed users are allowed!' });
  });
});
