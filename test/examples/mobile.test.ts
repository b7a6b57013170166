import t, { type Test } from 'tap';
import { createAccount } from '../../examples/mobile/account.ts';
import type { KeyStore } from '../../examples/mobile/key-store.ts';
import { listening } from '../support/listening.ts';
import { linksOf } from '../support/mail-server.ts';
import { newDetails, type Person, register } from '../support/person.ts';
import { startService } from '../support/service.ts';

const linkPrefix = 'https://app.example.com/confirm#';

/** A phone, which keeps its keys when an app is closed. */
function createPhone(baseUrl: string) {
  const keys = new Map<string, string>();
  const keyStore: KeyStore = {
    get: async (name) => keys.get(name) ?? null,
    set: async (name, value) => void keys.set(name, value),
    delete: async (name) => void keys.delete(name),
  };
  const sent: string[] = [];
  const seen = { timesLoggedOut: 0 };
  /** Opens the app, as if for the first time since the phone was switched on. */
  const openApp = () =>
    createAccount({
      baseUrl,
      linkPrefix,
      keyStore,
      onLoggedOut: () => {
        seen.timesLoggedOut += 1;
      },
      fetch(request) {
        sent.push(`${request.method} ${new URL(request.url).pathname}`);
        return fetch(request);
      },
    });
  return { openApp, keys, sent, seen };
}

t.test('the mobile app of the examples', async (t) => {
  const service = await listening(await startService(t, { CONFIRM_URL: `${linkPrefix}{token}`, RATE_LIMIT: 'off' }));
  const linkTo = async ({ email }: Pick<Person, 'email'>) => linksOf(await service.mailServer.mailTo(email))[0] ?? '';
  const countOf = (sent: readonly string[], request: string) => sent.filter((each) => each === request).length;

  async function loggedIn(t: Test) {
    const person = await register(service);
    const phone = createPhone(service.base);
    const account = phone.openApp();
    t.equal((await account.logIn(person.username, person.password)).response.status, 200);
    return { ...phone, account, person };
  }

  t.test('somebody registers in it, and the mailed link opens it and confirms', async (t) => {
    const { openApp } = createPhone(service.base);
    const account = openApp();
    const details = newDetails();
    t.equal((await account.api.POST('/auth/register', { body: details })).response.status, 201);
    t.equal((await account.logIn(details.username, details.password)).response.status, 200);
    t.equal((await account.api.GET('/secret')).error?.code, 'unconfirmed');
    const link = await linkTo(details);
    t.ok(link.startsWith(linkPrefix), 'it is a link to the app');
    t.equal(new URL(link).pathname + new URL(link).search, '/confirm', 'the token is in no part that is sent to a server');
    t.equal(await account.openLink(link), 'confirmed');
    t.equal(await account.openLink(link), 'already_confirmed');
    t.equal((await account.api.GET('/secret')).response.status, 200);
  });

  t.test('the link opens it when it was closed, and its access token is over', async (t) => {
    const { openApp, person } = await loggedIn(t);
    service.clock.advance({ minutes: 10 });
    t.equal(await openApp().openLink(await linkTo(person)), 'confirmed');
  });

  t.test('where nobody is logged in, or somebody else, the password does it', async (t) => {
    const ada = await register(service);
    const link = await linkTo(ada);
    const account = createPhone(service.base).openApp();
    t.equal(await account.openLink(link), 'password_needed');
    t.equal(await account.openLink(link, 'not the right one'), 'wrong_password');
    const bob = await loggedIn(t);
    t.equal(await bob.account.openLink(link), 'wrong_account');
    t.equal(await account.openLink(link, ada.password), 'confirmed');
    t.equal(await account.isLoggedIn(), false, 'nobody is logged in by that');
    const carol = await register(service);
    t.equal(await bob.account.openLink(await linkTo(carol), carol.password), 'confirmed');
    t.equal(await bob.account.isLoggedIn(), true);
    t.equal(bob.seen.timesLoggedOut, 0);
  });

  t.test('a link that is too old, mangled, or of something else', async (t) => {
    const { account, person } = await loggedIn(t);
    const link = await linkTo(person);
    t.equal(await account.openLink(`${link}x`), 'invalid');
    t.equal(await account.openLink(linkPrefix), 'invalid');
    t.equal(await account.openLink('https://app.example.com/news'), 'not_ours');
    t.equal(await account.openLink(link.replace('app.example.com', 'app.example.com.evil.test')), 'not_ours');
    service.clock.advance({ minutes: 61 });
    t.equal(await account.openLink(link), 'expired');
  });

  t.test('the session outlives the app, and only the refresh token is in the key store', async (t) => {
    const { openApp, keys, person, sent } = await loggedIn(t);
    const [kept = '{}'] = [...keys.values()];
    t.equal(keys.size, 1);
    t.strictSame(Object.keys(JSON.parse(kept)), ['id', 'refreshToken']);
    const before = sent.length;
    const reopened = openApp();
    t.equal(await reopened.isLoggedIn(), true);
    const answers = await Promise.all(Array.from({ length: 20 }, () => reopened.api.GET('/auth/me')));
    for (const { data } of answers) t.equal(data?.user.id, person.id);
    t.equal(countOf(sent.slice(before), 'POST /auth/refresh'), 1, 'all of them wait for one refresh');
    t.notSame([...keys.values()], [kept], 'the next refresh token is kept');
    service.clock.advance({ days: 6 });
    t.equal((await openApp().api.GET('/auth/me')).response.status, 200, 'it was to be remembered');
  });

  t.test('after a logout, or too long a time, nothing is left', async (t) => {
    const one = await loggedIn(t);
    t.equal((await one.account.logOut()).response.status, 204);
    t.strictSame([one.keys.size, one.seen.timesLoggedOut], [0, 1]);
    t.equal(await one.openApp().isLoggedIn(), false);

    const other = await loggedIn(t);
    service.clock.advance({ days: 8 });
    t.equal((await other.openApp().api.GET('/auth/me')).error?.code, 'unauthenticated');
    t.strictSame([other.keys.size, other.seen.timesLoggedOut], [0, 1]);
  });
});
