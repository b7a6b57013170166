import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import type { Answer } from '../support/client.ts';
import { assembleCast, type Cast, type Role } from '../support/fuzz-cast.ts';
import { commonFaults, createJudge } from '../support/fuzz-judge.ts';
import { anyRequest, type Draft, headOf, pathOf, type Sendable, sendable } from '../support/fuzz-requests.ts';
import { type Operation, readContract } from '../support/openapi.ts';
import { type Service, startService } from '../support/service.ts';
import { exchange } from '../support/wire.ts';

/** Said in the title, to be set when a run has failed. */
const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31));
const overInject = 10_000;
const overSocket = 300;
const toMailbox = 300;
/** People use up their links and lose their accounts: after so many requests there are others. */
const castLasts = 250;
/** Over a socket nobody logs in again. */
const socketCastLasts = 50;
/** Whoever has lost their session logs in again, but not more often than this. */
const sessionLasts = 15;

type Answered = Pick<Answer, 'status' | 'headers' | 'text'>;

const opensStream = /events(?:\?|$)/;

/** Streams end when their client is gone; everything else is read to its end. */
async function send({ app }: Pick<Service, 'app'>, { method, url, headers, body }: Sendable): Promise<Answered> {
  const options = { method: method as 'GET', url, headers, ...(body !== undefined && { payload: body }) };
  if (method !== 'GET' || !opensStream.test(url)) {
    const answer = await app.inject(options);
    return { status: answer.statusCode, headers: answer.headers as Answer['headers'], text: answer.payload };
  }
  const answer = await app.inject({ ...options, payloadAsStream: true });
  const stream = answer.stream();
  const chunks: Buffer[] = [];
  if (String(answer.headers['content-type']).startsWith('text/event-stream')) stream.destroy();
  else for await (const chunk of stream) chunks.push(chunk);
  return { status: answer.statusCode, headers: answer.headers as Answer['headers'], text: Buffer.concat(chunks).toString() };
}

function demandNone(faults: readonly string[], { method, url, headers, body }: Sendable, { status, text }: Answered): void {
  if (faults.length === 0) return;
  const request = `${method} ${url}\n${JSON.stringify(headers)}\n${String(body ?? '').slice(0, 2000)}`;
  throw new Error(`${faults.join('; ')}\n${request}\nis answered with ${status}\n${text.slice(0, 2000)}`);
}

/** How often each operation was answered with which status. */
function createTally(operations: readonly Operation[]) {
  const counts = new Map(operations.map(({ name }) => [name, new Map<number, number>()]));
  return {
    count(name: string | undefined, status: number): void {
      const statuses = counts.get(name ?? '');
      statuses?.set(status, (statuses.get(status) ?? 0) + 1);
    },
    /** Those that have done nothing for anybody: of what they answer then, nothing would have been seen. */
    fruitless: () => [...counts].filter(([, statuses]) => ![...statuses.keys()].some((status) => status < 400)).map(([name]) => name),
  };
}

// Ten thousand requests take longer than other tests where the machine has much else to do.
t.setTimeout(300_000);

t.test(`X03 whatever is sent is answered as the document says, and tells nothing (FUZZ_SEED=${seed})`, async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off' });
  const base = await service.listen();
  const contract = readContract(service.app.swagger());
  const { operations } = contract;
  const judge = createJudge(contract);
  const drafts = anyRequest(operations);
  let cast: Cast | undefined;

  await t.test(`${overInject} requests, valid, nearly so and wild`, async (t) => {
    const tally = createTally(operations);
    const codes = new Set<string>();
    const dead = new Map<Role, number>();
    let sent = 0;

    async function castFor({ role }: Draft): Promise<Cast> {
      if (cast === undefined || sent % castLasts === 0) cast = await assembleCast(service);
      else if (sent - (dead.get(role) ?? sent) >= sessionLasts) {
        dead.delete(role);
        await cast.revive(role);
      }
      sent += 1;
      return cast;
    }

    async function check(draft: Draft): Promise<void> {
      const current = await castFor(draft);
      const request = sendable(draft, current);
      const answer = await send(service, request);
      const operation = contract.find(pathOf(request))?.get(request.method);
      tally.count(operation?.name, answer.status);
      const [, code] = /^\{"type":"\/problems\/(\w+)"/.exec(answer.text) ?? [];
      codes.add(code ?? '');
      const isDead = code === 'unauthenticated' && draft.role !== 'nobody' && draft.headers['authorization'] === undefined;
      if (isDead && !dead.has(draft.role)) dead.set(draft.role, sent);
      demandNone(judge(request, answer, current), request, answer);
    }

    // Not made smaller when one fails: that would send more to a service that has changed.
    await fc.assert(fc.asyncProperty(drafts, check), { seed, numRuns: overInject, endOnFailure: true });
    t.strictSame(tally.fruitless(), [], 'every operation has done what it is there for');
    t.ok(codes.size > 15, `they were refused for ${codes.size} reasons`);
  });

  await t.test(`${overSocket} requests over a socket, as they are and damaged`, async (t) => {
    let current: Cast | undefined;
    const arbitrary = fc.tuple(drafts, fc.option(fc.uint8Array({ minLength: 1, maxLength: 12 }), { freq: 1 }), fc.nat());
    const statuses = new Map<number, number>();
    const samples = fc.sample(arbitrary, { seed, numRuns: overSocket }).filter(([{ url }]) => !opensStream.test(url));
    for (const [index, [draft, damage, at]] of samples.entries()) {
      if (current === undefined || index % socketCastLasts === 0) current = await assembleCast(service);
      const request = sendable(draft, current);
      for (const { status, headers, body: text } of await exchange(base, headOf(draft, request, current, damage, at))) {
        const answer = { status, headers, text };
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        demandNone(commonFaults(request, pathOf(request), answer, current), request, answer);
      }
    }
    t.ok((statuses.get(200) ?? 0) > 0 && (statuses.get(400) ?? 0) > 0, `they were answered with ${JSON.stringify([...statuses])}`);
    t.equal((await fetch(`${base}/health/ready`)).status, 200, 'it has lived through all of it');
  });
});

t.test(`the embedded mailbox is answered as the document says (FUZZ_SEED=${seed})`, async (t) => {
  const service = await startService(t, { RATE_LIMIT: 'off', SMTP_URL: '' });
  const details = { email: 'ada@example.com', username: 'ada', password: 'a nightjar in armour' };
  await service.post('/auth/register', details);
  const { body } = await service.get('/dev/mail?wait=10');
  const contract = readContract(service.app.swagger());
  const judge = createJudge(contract);
  const operations = contract.operations.filter(({ path }) => path.startsWith('/dev/'));
  const tally = createTally(operations);
  // Whatever is known here is the mail.
  const cast = {
    fill: (text: string) => text.replace(/⟦[a-z.]+⟧/g, body.mails[0].id),
    revive: async () => {},
    secrets: () => [details.password],
  };
  async function check(draft: Draft): Promise<void> {
    const request = sendable(draft, cast);
    const answer = await send(service, request);
    tally.count(contract.find(pathOf(request))?.get(request.method)?.name, answer.status);
    demandNone(judge(request, answer, cast), request, answer);
  }
  await fc.assert(fc.asyncProperty(anyRequest(operations), check), { seed, numRuns: toMailbox, endOnFailure: true });
  t.strictSame(tally.fruitless(), []);
});
