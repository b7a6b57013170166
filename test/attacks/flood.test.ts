import { availableParallelism } from 'node:os';
import t from 'tap';
import { eventually } from '../support/eventually.ts';
import { startHttpService } from '../support/http.ts';
import { confirmedPerson, newDetails } from '../support/person.ts';

t.test('X01 of five hundred logins at once some wait their turn, the others are told to come back, and nobody else notices', async (t) => {
  const service = await startHttpService(t, { RATE_LIMIT: 'off', UV_THREADPOOL_SIZE: '4' });
  const { token, email, password } = await confirmedPerson(service);
  const { hasher } = service.app.services;
  const { verify } = hasher;
  let letGo = () => {};
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let checking = 0;
  hasher.verify = async (...parameters) => {
    checking += 1;
    await held;
    return verify(...parameters);
  };

  const flood = 500;
  const hashes = Math.min(availableParallelism(), 3);
  const letIn = hashes * (3 + 48);
  const refused: { status: number; headers: Readonly<Record<string, unknown>> }[] = [];
  const logins = Array.from({ length: flood }, async () => {
    const answer = await service.post('/auth/login', { email, password });
    if (answer.status !== 200) refused.push(answer);
    return answer.status;
  });
  await eventually('all are turned away but those that have a place', () => refused.length === flood - letIn);
  for (const { status, headers } of refused) t.match({ status, headers }, { status: 503, headers: { 'retry-after': '2' } });
  t.equal(checking, 3 * hashes, 'those who wait cost nothing so far');

  t.equal((await service.get('/secret', { token })).status, 200);
  t.equal((await service.get('/auth/me', { token })).status, 200, 'they leave the database to others');
  const details = newDetails();
  t.equal((await service.post('/auth/register', details)).status, 503, 'whoever registers is told so, too');
  t.equal((await service.post('/auth/register', 'no JSON')).status, 503, 'before anybody reads what they say');

  letGo();
  const statuses = await Promise.all(logins);
  t.equal(statuses.filter((status) => status === 200).length, letIn, 'whoever has waited is let in');
  t.equal((await service.post('/auth/register', details)).status, 201, 'and there is room again');
});
