import t from 'tap';
import { users } from '../../src/db/schema.ts';
import type { Answer, Client } from '../support/client.ts';
import { startHttpService } from '../support/http.ts';
import { browserAccept, linkPaths } from '../support/pages.ts';
import { confirmationPath, logIn, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { openTables } from '../support/tables.ts';
import { exchangeOne } from '../support/wire.ts';

const agents = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/80.0.3987.149 Safari/537.36 SafeLinks',
  'Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0) Mimecast',
  'GoogleImageProxy',
  'curl/8.5.0',
];
const accepts = ['*/*', browserAccept, 'application/json', 'text/html', 'image/webp,*/*;q=0.8'];
const foresights: Record<string, string>[] = [
  {},
  { 'sec-purpose': 'prefetch' },
  { 'sec-purpose': 'prefetch;prerender' },
  { purpose: 'prefetch' },
  { 'x-purpose': 'preview' },
  { 'x-moz': 'prefetch' },
];
/** What a robot puts on top that plays a browser. */
const navigation = { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };

/** Every way of accepting with every way of looking ahead; the agents take turns. */
const visits = accepts.flatMap((accept, one) =>
  foresights.map((foresight, other) => ({
    ...foresight,
    ...((one + other) % 2 === 0 && navigation),
    accept,
    'user-agent': agents[(one + other) % agents.length] as string,
  })),
);

/** Everything that robots do with a link. Answers what must not have come: cookies, and failures of the service. */
async function robotsAt({ base, request }: { readonly base: string } & Pick<Client, 'request'>, path: string) {
  const answers: Pick<Answer, 'status' | 'headers'>[] = [
    await exchangeOne(base, `GET ${path} HTTP/1.1\r\nHost: scanner\r\nConnection: close\r\n\r\n`),
  ];
  for (const headers of visits) {
    for (const method of ['HEAD', 'GET'] as const) answers.push(await request(method, path, { headers }));
  }
  answers.push(await request('OPTIONS', path));
  return answers.filter(({ status, headers }) => status >= 500 || headers['set-cookie'] !== undefined);
}

t.test('R17 C04 a robot that opens every link of a mail neither confirms an account nor cancels it', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off' });
  const tables = openTables(t, service);
  const [bySession, byPassword] = [await register(service), await register(service)];
  const rows = async () => (await tables.select().from(users)).sort((a, b) => a.id.localeCompare(b.id));
  const before = await rows();

  for (const { email } of [bySession, byPassword]) {
    const links = await linkPaths(service, email);
    t.equal(links.length, 2, 'a link that confirms, and one that disowns');
    for (const path of links) {
      t.strictSame(await robotsAt(service, path), []);
      t.strictSame(await rows(), before, `no account has changed: ${path.split('/')[2]}`);
    }
  }

  const token = await logIn(service, bySession);
  refused(t, await service.get('/secret', { token }), 403, 'unconfirmed', 'still');
  const answer = await service.get(await confirmationPath(service, bySession), { token });
  t.match(answer, { status: 200, body: { status: 'confirmed' } }, 'the link works for the right session');
  t.equal((await service.get('/secret', { token })).status, 200);
  const link = (await confirmationPath(service, byPassword)).replace('/auth/confirm/', '');
  const posted = await service.post('/auth/confirm', { token: link, password: byPassword.password });
  t.match(posted, { status: 200, body: { status: 'confirmed' } }, 'and for the right password');
});
