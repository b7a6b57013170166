import t from 'tap';
import { eventually } from '../support/eventually.ts';
import { logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';

t.test('the embedded mailbox', async (t) => {
  const service = await startService(t, { SMTP_URL: '' });
  const browser = { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } };
  const list = async () => (await service.get('/dev/mail')).body.mails;

  t.test('is empty until something is sent', async (t) => {
    t.strictSame(await list(), []);
    const page = await service.get('/dev/mail', browser);
    t.equal(page.status, 200);
    t.match(page.headers['content-type'], /^text\/html/);
  });

  const first = await register(service);
  await eventually('the first mail is there', async () => (await list()).length === 1);
  const second = await register(service);
  await eventually('the second mail is there', async () => (await list()).length === 2);

  t.test('lists what was sent, newest first, as JSON', async (t) => {
    const answer = await service.get('/dev/mail');
    t.equal(answer.status, 200);
    t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store' });
    t.strictSame(
      answer.body.mails.map(({ to }: { to: string }) => to),
      [second.email, first.email],
    );
    for (const mail of answer.body.mails) {
      t.strictSame(Object.keys(mail).sort(), ['at', 'id', 'links', 'subject', 'to']);
      t.match(mail, { id: /^[0-9a-f-]{36}$/, subject: /\S/, at: /Z$/, links: [/^http:\/\/localhost:3000\/auth\/confirm\//] });
    }
    t.same((await service.get('/dev/mail', { headers: { accept: '*/*' } })).body, answer.body, 'for whoever takes anything, too');
  });

  t.test('shows one mail whole', async (t) => {
    const [, summary] = await list();
    const { status, body } = await service.get(`/dev/mail/${summary.id}`);
    t.equal(status, 200);
    t.match(body, summary);
    t.match(body.text, summary.links[0]);
    t.match(body.html, summary.links[0]);
    t.match(body.source, /^To: .*\bperson\d+@example\.com/m);
    t.match(body.source, `Message-ID: <${summary.id}@`);
  });

  t.test('is for browsers a page with live links, and no scripts', async (t) => {
    const [summary] = await list();
    for (const path of ['/dev/mail', `/dev/mail/${summary.id}`]) {
      const page = await service.get(path, browser);
      t.equal(page.status, 200, path);
      t.match(page.headers, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
      t.match(page.headers['content-security-policy'], /^default-src 'none';/);
      t.notMatch(page.headers['content-security-policy'], /script-src|connect-src/);
      t.ok(page.text.includes(`href="${summary.links[0]}"`), 'the link can be clicked');
      t.notMatch(page.text, /<script/);
    }
    t.match((await service.get('/dev/mail', browser)).text, `href="/dev/mail/${summary.id}"`);
  });

  t.test('has nothing under another id, and nothing outside of it', async (t) => {
    for (const id of ['01890000-0000-7000-8000-000000000000', 'x', '..%2f..%2fsecret', '%2e%2e', '*']) {
      const answer = await service.get(`/dev/mail/${id}`);
      refused(t, answer, 404, 'not_found', id);
    }
  });

  t.test('its links confirm', async (t) => {
    const [, { links }] = await list();
    const token = await logIn(service, first);
    t.match(await service.get(new URL(links[0]).pathname, { token }), { status: 200, body: { status: 'confirmed' } });
    t.equal((await service.get('/secret', { token })).status, 200);
  });

  t.test('is in the OpenAPI document', async (t) => {
    t.match(service.app.swagger().paths, { '/dev/mail': {}, '/dev/mail/{id}': {} });
  });
});

t.test('there is no mailbox where a mail server is configured', async (t) => {
  const service = await startService(t);
  await service.mailServer.mailTo((await register(service)).email);
  refused(t, await service.get('/dev/mail'), 404, 'not_found');
  refused(t, await service.get('/dev/mail/01890000-0000-7000-8000-000000000000'), 404, 'not_found');
  t.notOk(Object.keys(service.app.swagger().paths ?? {}).some((path) => path.startsWith('/dev')));
});
