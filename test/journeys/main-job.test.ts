import t from 'tap';
import { linksOf } from '../support/mail-server.ts';
import { startService } from '../support/service.ts';

t.test('a person registers, is kept out, follows the mailed link, and is in', async (t) => {
  const service = await startService(t);
  const base = await service.listen();
  const post = (path: string, body: unknown) =>
    fetch(base + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

  const registered = await post('/auth/register', { email: 'Ada@Example.com', username: 'ada', password: 'correct horse battery staple' });
  t.equal(registered.status, 201);
  t.match(await registered.json(), { user: { email: 'Ada@Example.com', username: 'ada', role: 'user', confirmed: false } });

  const login = await post('/auth/login', { username: 'ada', password: 'correct horse battery staple' });
  t.equal(login.status, 200);
  const { accessToken } = (await login.json()) as { accessToken: string };
  const headers = { authorization: `Bearer ${accessToken}` };

  const refused = await fetch(`${base}/secret`, { headers });
  t.equal(refused.status, 403);
  t.match(await refused.json(), { code: 'unconfirmed', resend: { method: 'POST', href: '/auth/confirm/resend' } });

  const mail = await service.mailServer.mailTo('Ada@Example.com');
  const [link] = linksOf(mail);
  t.match(link, /^http:\/\/localhost:3000\/auth\/confirm\//, 'the link is built from PUBLIC_URL');
  const confirmed = await fetch(base + new URL(link ?? '').pathname, { headers });
  t.equal(confirmed.status, 200);
  t.match(await confirmed.json(), { status: 'confirmed', user: { confirmed: true } });

  const admitted = await fetch(`${base}/secret`, { headers });
  t.equal(admitted.status, 200, 'the session from before the confirmation passes');
  t.same(await admitted.json(), { message: 'Only confirmed users are allowed!' });
  t.same(await (await fetch(base, { headers })).json(), { message: 'Hello, ada!' });
});
