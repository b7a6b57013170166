import t from 'tap';
import { cookieHeader, setCookies } from '../support/cookies.ts';
import { listening } from '../support/listening.ts';
import { confirmedPerson, type Person } from '../support/person.ts';
import { startService } from '../support/service.ts';
import { assertProblem, exchangeOne, requestBytes } from '../support/wire.ts';

/** What JavaScript takes for blank and cookies do not, as a byte: the only one that an HTTP message may hold. */
const noBreakSpace = '\u00a0';

t.test('cookies that another host of the domain has planted beside those of the service', async (t) => {
  const service = await listening(await startService(t, { PUBLIC_URL: 'https://accounts.test', RATE_LIMIT: 'off' }));
  const fromHere = { 'sec-fetch-site': 'same-origin', 'user-agent': 'node' };
  const logIn = async ({ email, password }: Pick<Person, 'email' | 'password'>) => {
    const answer = await service.post('/auth/login', { email, password, transport: 'cookie' }, { headers: fromHere });
    return setCookies(answer).map((cookie) => cookieHeader([cookie])) as [access: string, refresh: string];
  };
  const [victim, attacker] = [await confirmedPerson(service), await confirmedPerson(service)];
  const [theirs, own] = [await logIn(attacker), await logIn(victim)];
  /** With the bytes of the header field as they are. */
  const send = (method: string, target: string, cookie: string) =>
    exchangeOne(service.base, Buffer.from(requestBytes(method, target, { ...fromHere, cookie }), 'latin1'));
  const unauthenticated = { status: 401, code: 'unauthenticated' };

  await t.test('B06 a name behind a no-break space is another name, and plants no session', async (t) => {
    for (const blank of [noBreakSpace, ` ${noBreakSpace}`, `${noBreakSpace} `, `\t${noBreakSpace}\t`]) {
      for (const before of ['', 'theme=dark;', 'theme=dark; ']) {
        assertProblem(t, await send('GET', '/auth/me', `${before}${blank}${theirs[0]}`), unauthenticated);
        const refreshed = await send('POST', '/auth/refresh', `${before}${blank}${theirs[1]}`);
        assertProblem(t, refreshed, { status: 401, code: 'invalid_refresh_token' });
      }
    }
    assertProblem(t, await send('GET', '/auth/me', `${theirs[0]}${noBreakSpace}`), unauthenticated);
    t.equal((await send('GET', '/auth/me', theirs[0])).status, 200, 'it would have been good');
  });

  await t.test('B06 nor does it keep anybody out', async (t) => {
    for (const cookie of [`${own[0]}; ${noBreakSpace}${theirs[0]}`, `${noBreakSpace}__Host-access=x; ${own[0]}`]) {
      const { status, body } = await send('GET', '/auth/me', cookie);
      t.match({ status, body }, { status: 200, body: victim.username });
    }
    const { status, body } = await send('POST', '/auth/refresh', `${noBreakSpace}${theirs[1]}; ${own[1]}`);
    t.match({ status, body }, { status: 200, body: victim.username });
  });

  await t.test('J14 spaces and tabs around a cookie are none of it', async (t) => {
    const around = ['', ' ', '\t', ' \t '];
    for (const blank of around) t.equal((await send('GET', '/auth/me', `a=b;${blank}${own[0]}${blank}; ;c=d`)).status, 200);
    assertProblem(t, await send('GET', '/auth/me', around.join(';')), unauthenticated);
  });
});
