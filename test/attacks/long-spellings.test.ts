import t from 'tap';
import { openBrowser } from '../support/pages.ts';
import { confirmationPath, confirmationToken, confirmedPerson, newDetails, register, resetToken } from '../support/person.ts';
import { startService } from '../support/service.ts';

/** Accents that a canonical order turns round, which takes a time that grows with the square of their number. */
const disordered = `a${'\u0301\u0316'.repeat(2000)}`;
/** As much of it as a form may hold, which writes each in six bytes. */
const inForm = disordered.slice(0, 1100);
/** In UTF-16 units: what the longest password takes in its longest spelling. */
const longestSpelling = 1024;

t.test('L07 nothing that is longer than any password is brought into one spelling', async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const [person, newcomer] = [await confirmedPerson(service), await register(service)];
  const path = await confirmationPath(service, newcomer);
  const token = await confirmationToken(service, newcomer);
  const reset = await resetToken(service, person);
  const browser = openBrowser(service);
  const [confirming, resetting] = [await browser.go(path), await browser.go(`/auth/password/reset/${reset}`)];

  const { normalize } = String.prototype;
  const lengths: number[] = [];
  t.intercept(String.prototype, 'normalize', {
    value(this: string, form?: string) {
      lengths.push(this.length);
      return normalize.call(this, form);
    },
  });
  const answers = [
    await service.post('/auth/login', { email: person.email, password: disordered }),
    await service.post('/auth/login', { email: disordered, password: person.password }),
    await service.post('/auth/register', { ...newDetails(), password: disordered }),
    await service.post('/auth/confirm', { token, password: disordered }),
    await service.post('/auth/password/reset', { token: reset, newPassword: disordered }),
    await service.request('PUT', '/auth/password', {
      token: person.token,
      body: { currentPassword: disordered, newPassword: 'the other password' },
    }),
    await browser.submit(confirming, { password: inForm }),
    await browser.submit(resetting, { newPassword: inForm, newPasswordConfirmation: inForm }),
  ];
  t.strictSame(
    answers.map(({ status }) => status),
    [401, 401, 400, 401, 400, 403, 401, 400],
  );
  t.strictSame(
    lengths.filter((length) => length > longestSpelling),
    [],
  );
  t.equal((await service.post('/auth/login', { email: person.email, password: person.password })).status, 200);
  t.ok(lengths.length > 0, 'a password is');
});
