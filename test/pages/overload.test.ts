import t from 'tap';
import { Problem } from '../../src/problems/problem.ts';
import { openBrowser } from '../support/pages.ts';
import { confirmationPath, confirmedPerson, register, resetToken } from '../support/person.ts';
import { startService } from '../support/service.ts';

t.test('a page says so when the service is too busy to look at a password, and what was sent may be sent again', async (t) => {
  const service = await startService(t);
  const { hasher } = service.app.services;
  const [ada, bob] = [await register(service), await confirmedPerson(service)];
  const nobody = openBrowser(service);
  const next = 'a new password of mine';
  const [page, reset] = [
    await nobody.go(await confirmationPath(service, ada)),
    await nobody.go(`/auth/password/reset/${await resetToken(service, bob)}`),
  ];
  const sendBoth = () =>
    Promise.all([
      nobody.submit(page, { password: ada.password }),
      nobody.submit(reset, { newPassword: next, newPasswordConfirmation: next }),
    ]);
  const { verify, hash } = hasher;
  const busy = async () => {
    throw new Problem('service_unavailable', { retryAfterSeconds: 3 });
  };
  Object.assign(hasher, { verify: busy, hash: busy });
  for (const answer of await sendBoth()) {
    t.match(answer, { status: 503, kind: 'failed', text: /role="alert"/, headers: { 'retry-after': '3', 'cache-control': 'no-store' } });
  }
  Object.assign(hasher, { verify, hash });
  t.match(await sendBoth(), [{ kind: 'confirmed' }, { kind: 'reset_done' }]);
});
