import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { confirmedPerson } from '../support/person.ts';
import { startService } from '../support/service.ts';

t.test('how a session is presented', async (t) => {
  // What is sent here is not sent by whom the token was given to.
  const service = await startService(t, { SESSION_PROTECTION: 'none' });
  const [{ token }, other] = [await confirmedPerson(service), await confirmedPerson(service)];
  const base = await service.listen();

  /** Sends header fields as they are given, over a real connection: names may come twice. */
  function send(fields: readonly string[], path = '/secret'): Promise<{ status: number; body: { code?: string } }> {
    return new Promise((resolve, reject) => {
      const sent = request(base + path, { headers: ['Host', 'localhost', ...fields], agent: false }, (answer) => {
        text(answer).then((body) => resolve({ status: answer.statusCode ?? 0, body: JSON.parse(body) }), reject);
      });
      sent.on('error', reject).end();
    });
  }
  async function refuses(t: Test, fields: readonly string[], status: number, code: string, path = '/secret'): Promise<void> {
    t.match(await send(fields, path), { status, body: { code } }, `${fields.join(' ').slice(0, 40)} ${path.slice(0, 20)}`);
  }

  t.test('the scheme is Bearer, in any case, and one space', async (t) => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) t.equal((await send(['Authorization', `${scheme} ${token}`])).status, 200, scheme);
    for (const value of [
      token,
      `Bearer  ${token}`,
      `Bearer\t${token}`,
      `Bearer ${token} x`,
      `Bearer ${token}, Bearer ${token}`,
      `Bearer "${token}"`,
      `Basic ${token}`,
      `Token ${token}`,
      'Bearer',
      'Bearer ',
    ]) {
      await refuses(t, ['Authorization', value], 401, 'unauthenticated');
    }
  });

  t.test('it is presented once', async (t) => {
    await refuses(t, ['Authorization', `Bearer ${token}`, 'authorization', `Bearer ${other.token}`], 400, 'ambiguous_credentials');
    await refuses(t, ['Authorization', `Bearer ${token}`, 'Authorization', `Bearer ${token}`], 400, 'ambiguous_credentials');
    await refuses(t, ['Authorization', 'Basic eDp5', 'Authorization', `Bearer ${token}`], 400, 'ambiguous_credentials');
    await refuses(t, ['Authorization', `Bearer ${token}`, 'Authorization', 'x'], 400, 'ambiguous_credentials', '/');
    t.equal((await send(['Authorization', `Bearer ${token}`, 'X-Authorization', `Bearer ${other.token}`])).status, 200);
  });

  t.test('the query and other headers present nothing', async (t) => {
    await refuses(t, [], 401, 'unauthenticated', `/secret?access_token=${token}&token=${token}&authorization=Bearer%20${token}`);
    for (const name of ['Proxy-Authorization', 'X-Authorization', 'X-Access-Token', 'X-Forwarded-Authorization', 'Cookie']) {
      await refuses(t, [name, name === 'Cookie' ? `token=${token}` : `Bearer ${token}`], 401, 'unauthenticated');
    }
    await refuses(t, ['X-Auth-User-Id', other.id, 'X-User', other.username, 'Remote-User', other.username], 401, 'unauthenticated');
  });
});
