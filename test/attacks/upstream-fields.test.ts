import t from 'tap';
import { confirmedPerson } from '../support/person.ts';
import { startGateway } from '../support/upstream.ts';
import { exchangeOne, requestBytes } from '../support/wire.ts';

t.test('however many tokens a request presents, few are verified', async (t) => {
  const { service, base, upstream } = await startGateway(t, { UPSTREAM_PUBLIC_PATHS: '/open' });
  const { token } = await confirmedPerson(service);
  const { accessTokens } = service.app.services;
  let verified = 0;
  accessTokens.verify = ((verify) => (text) => {
    verified += 1;
    return verify(text);
  })(accessTokens.verify);
  const [header = '', , signature = ''] = token.split('.');
  for (const scheme of ['Bearer ', 'Token ', 'Digest a=']) {
    verified = 0;
    const authorization = scheme + Array.from({ length: 40 }, (_, index) => `${header}.e3${index}.${signature}`).join(', ');
    t.equal((await exchangeOne(base, requestBytes('GET', '/open', { authorization }))).status, 200);
    t.ok(verified <= 2, `${scheme}: ${verified}`);
    t.equal(upstream.passed.at(-1)?.headers.authorization, undefined, 'what nobody has looked at is not passed on');
  }
  for (const authorization of [`Digest uri="/a", response=${token}`, `Bearer (${token})`, `x.y.z, p.q.r, ${token}`]) {
    await exchangeOne(base, requestBytes('GET', '/open', { authorization }));
    t.equal(upstream.passed.at(-1)?.headers.authorization, undefined, authorization.replace(token, '…'));
  }
  for (const authorization of ['Bearer a.b.c', `Digest username="a", realm="a.example.com", uri="/a.b/c.d", response="6629fae4"`]) {
    await exchangeOne(base, requestBytes('GET', '/open', { authorization }));
    t.equal(upstream.passed.at(-1)?.headers.authorization, authorization, 'the application’s own is');
  }
});
