import t from 'tap';
import { disownPath, openBrowser } from '../support/pages.ts';
import { confirmationPath, confirmedPerson, emailChangeToken, register, resetToken } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { spoilQueries } from '../support/spoiled-queries.ts';

t.test('while the database is away', async (t) => {
  const service = await startService(t);
  const [ada, bob] = [await register(service), await confirmedPerson(service)];
  const links = {
    confirm_with_password: await confirmationPath(service, ada),
    disown: await disownPath(service, ada),
    reset: `/auth/password/reset/${await resetToken(service, bob)}`,
    change_email_with_password: `/auth/email/confirm/${await emailChangeToken(service, bob, 'new.bob@example.com')}`,
  };
  const browser = openBrowser(service, { 'accept-language': 'de' });
  const pages = await Promise.all(Object.values(links).map((path) => browser.go(path)));
  t.strictSame(
    pages.map(({ kind }) => kind),
    Object.keys(links),
    'the links work',
  );

  const { db } = service.app.services;
  let undo = () => {};
  const failWith = (error: Error) => {
    const fail = () => {
      throw error;
    };
    undo();
    undo = spoilQueries(db, fail);
    Object.assign(db, { transaction: fail });
  };

  await t.test('who follows a mailed link gets a page that says so, and a client a problem', async (t) => {
    failWith(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }));
    const before = service.log.length;
    for (const [kind, path] of Object.entries(links)) {
      const page = await browser.go(path);
      t.match(page, { status: 503, kind: 'failed', text: /<html lang="de"[\s\S]*role="alert"/ }, kind);
      t.match(page.headers, { 'content-type': /^text\/html/, 'retry-after': '1', 'cache-control': 'no-store' });
      refused(t, await service.get(path), 503, 'service_unavailable', kind);
    }
    const lines = service.log.slice(before).map((line) => JSON.parse(line));
    // What the service asks for by itself meanwhile is of no request.
    const warnings = lines.filter(({ level, err, reqId }) => level === 40 && err?.code === 'ECONNREFUSED' && reqId !== undefined);
    t.equal(warnings.length, 2 * pages.length, 'the log tells why, either way');
    t.equal(lines.filter(({ code }) => code === 'service_unavailable').length, 2 * pages.length);
  });

  await t.test('who sends a form gets such a page, too', async (t) => {
    const entered = { password: ada.password, newPassword: `${ada.password}!`, newPasswordConfirmation: `${ada.password}!` };
    for (const page of pages) {
      const names = page.kind === 'reset' ? ['newPassword', 'newPasswordConfirmation'] : page.kind === 'disown' ? [] : ['password'];
      const fields = Object.fromEntries(Object.entries(entered).filter(([name]) => names.includes(name)));
      t.match(await browser.submit(page, fields), { status: 503, kind: 'failed', headers: { 'retry-after': '1' } }, page.action);
    }
  });

  await t.test('a fault of ours is no such page', async (t) => {
    failWith(new Error('a fault'));
    for (const path of Object.values(links)) refused(t, await browser.go(path), 500, 'internal_error');
  });
});
