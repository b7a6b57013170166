import t, { type Test } from 'tap';
import { createLock } from '../../examples/client/client.ts';
import { inMemory } from '../../examples/client/session-store.ts';
import { createDevice, type Device, type DeviceOptions } from '../support/device.ts';
import { startHttpService } from '../support/http.ts';
import { confirmationToken, confirmedPerson, type Person, register } from '../support/person.ts';

const countOf = (device: Device, request: string) => device.sent.filter((each) => each === request).length;
const refreshesOf = (device: Device) => countOf(device, 'POST /auth/refresh');
const twenty = <Result>(work: (index: number) => Promise<Result>) => Promise.all(Array.from({ length: 20 }, (_, index) => work(index)));

for (const transport of ['bearer', 'cookie'] as const) {
  t.test(`the client of the examples: ${transport}`, async (t) => {
    const service = await startHttpService(t);
    const person = await confirmedPerson(service);
    const expire = () => service.clock.advance({ minutes: 6 });

    async function loggedIn(t: Test, options: DeviceOptions = {}, { username, password }: Person = person): Promise<Device> {
      const device = createDevice(service.base, { transport, ...options });
      const { response } = await device.logIn({ username, password });
      t.equal(response.status, 200);
      return device;
    }

    t.test('twenty requests that come too late refresh once, and each is repeated once', async (t) => {
      const device = await loggedIn(t);
      expire();
      const answers = await twenty(() => device.api.GET('/secret'));
      for (const { response } of answers) t.equal(response.status, 200);
      t.equal(refreshesOf(device), 1);
      t.equal(countOf(device, 'GET /secret'), 40);
      expire();
      t.equal((await device.api.GET('/secret')).response.status, 200);
      t.equal(refreshesOf(device), 2, 'and the next time again');
    });

    t.test('a request is repeated with its body', async (t) => {
      const device = await loggedIn(t);
      expire();
      const { data } = await device.api.PATCH('/auth/me', { body: { username: `renamed_${transport}` } });
      t.equal(data?.user.username, `renamed_${transport}`);
      t.equal(refreshesOf(device), 1);
      await device.api.PATCH('/auth/me', { body: { username: person.username } });
    });

    t.test('a token that is nearly over is refreshed before it is used', async (t) => {
      const device = await loggedIn(t, { now: () => service.clock.now().getTime() });
      service.clock.advance({ seconds: 280 });
      await device.api.GET('/secret');
      t.equal(refreshesOf(device), 0);
      service.clock.advance({ seconds: 15 });
      for (const { response } of await twenty(() => device.api.GET('/secret'))) t.equal(response.status, 200);
      t.equal(refreshesOf(device), 1);
      t.equal(countOf(device, 'GET /secret'), 21, 'nothing had to be repeated');
    });

    t.test('what is refused after a refresh, too, is not repeated once more', async (t) => {
      let isMuted = false;
      const device = await loggedIn(t, {
        fetch: (request) => {
          if (isMuted && request.url.endsWith('/secret')) for (const name of ['authorization', 'cookie']) request.headers.delete(name);
          return fetch(request);
        },
      });
      isMuted = true;
      t.equal((await device.api.GET('/secret')).error?.code, 'unauthenticated');
      t.strictSame(device.sent.slice(1), ['GET /secret', 'POST /auth/refresh', 'GET /secret']);
      t.equal(device.timesLoggedOut(), 0);
    });

    t.test('a session that was ended elsewhere is told of once', async (t) => {
      const device = await loggedIn(t);
      const other = await loggedIn(t);
      t.equal((await other.api.DELETE('/auth/sessions')).response.status, 204);
      for (const { error } of await twenty(() => device.api.GET('/secret'))) t.equal(error?.code, 'unauthenticated');
      t.equal(refreshesOf(device), 1);
      t.equal(device.timesLoggedOut(), 1);
      t.equal(await device.isLoggedIn(), false);
      for (const { error } of await twenty(() => device.api.GET('/secret'))) t.equal(error?.code, 'unauthenticated');
      t.equal(refreshesOf(device), 1, 'there is nothing left to refresh');
      t.equal(device.timesLoggedOut(), 1);
      const { username, password } = person;
      t.equal((await device.logIn({ username, password })).response.status, 200);
      t.equal((await device.api.GET('/secret')).response.status, 200);
      await device.logOut();
      t.equal(device.timesLoggedOut(), 2, 'the next session is another one');
    });

    t.test('a refresh without an answer logs nobody out', async (t) => {
      let isOffline = false;
      const device = await loggedIn(t, {
        fetch: (request) =>
          isOffline && request.url.endsWith('/auth/refresh') ? Promise.reject(new TypeError('offline')) : fetch(request),
      });
      const before = await device.store.read();
      expire();
      isOffline = true;
      const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => device.api.GET('/secret')));
      for (const outcome of outcomes) t.match(outcome, { status: 'rejected', reason: TypeError });
      t.equal(device.timesLoggedOut(), 0);
      t.strictSame(await device.store.read(), before);
      isOffline = false;
      t.equal((await device.api.GET('/secret')).response.status, 200);
    });

    t.test('a refresh that is answered 503 logs nobody out, and the requests are answered so', async (t) => {
      let isDown = false;
      const device = await loggedIn(t, {
        fetch: async (request) => (isDown && request.url.endsWith('/auth/refresh') ? unavailable() : fetch(request)),
      });
      expire();
      isDown = true;
      for (const { response, error } of await twenty(() => device.api.GET('/secret'))) {
        t.equal(response.status, 503);
        t.equal(error?.code, 'service_unavailable');
        t.equal(response.headers.get('retry-after'), '7');
      }
      t.equal(device.timesLoggedOut(), 0);
      isDown = false;
      t.equal((await device.api.GET('/secret')).response.status, 200);
    });

    t.test('a refresh and a login never cross, since each waits for the lock', async (t) => {
      const oneAtATime = createLock();
      let isLocked = false;
      const seen: [string, boolean][] = [];
      const device = await loggedIn(t, {
        lock: (work) =>
          oneAtATime(async () => {
            isLocked = true;
            return work().finally(() => {
              isLocked = false;
            });
          }),
        fetch(request) {
          seen.push([new URL(request.url).pathname, isLocked]);
          return fetch(request);
        },
      });
      expire();
      await device.api.GET('/secret');
      t.strictSame(
        seen.filter(([path]) => path !== '/secret'),
        [
          ['/auth/login', true],
          ['/auth/refresh', true],
        ],
      );
    });

    t.test('one that fails ahead of time keeps nobody from using the token that is left', async (t) => {
      let isOffline = false;
      const device = await loggedIn(t, {
        now: () => service.clock.now().getTime(),
        fetch: (request) =>
          isOffline && request.url.endsWith('/auth/refresh') ? Promise.reject(new TypeError('offline')) : fetch(request),
      });
      service.clock.advance({ seconds: 292 });
      isOffline = true;
      for (const { response } of await twenty(() => device.api.GET('/secret'))) t.equal(response.status, 200);
      t.equal(refreshesOf(device), 1, 'all of them wait for one');
    });

    t.test('a wrong password says nothing of the session', async (t) => {
      const device = await loggedIn(t);
      const newcomer = await register(service);
      const token = await confirmationToken(service, newcomer);
      const { error } = await device.api.POST('/auth/confirm', { body: { token, password: 'not the right one' } });
      t.equal(error?.code, 'invalid_credentials');
      t.equal(refreshesOf(device), 0);
      t.equal(device.timesLoggedOut(), 0);
    });

    t.test('two tabs refresh once, and hear of each other’s logout', async (t) => {
      const shared = { store: inMemory(), lock: createLock() };
      const tabs = await twoTabs(t, shared);
      expire();
      await Promise.all(tabs.map(({ api }) => api.GET('/secret')));
      t.equal(
        tabs.map(refreshesOf).reduce((sum, count) => sum + count),
        1,
      );
      const [one, other] = tabs;
      await one.logOut();
      t.strictSame([one.timesLoggedOut(), other.timesLoggedOut()], [1, 0]);
      t.equal((await other.api.GET('/secret')).error?.code, 'unauthenticated');
      t.strictSame([one.timesLoggedOut(), other.timesLoggedOut()], [1, 1]);
      t.equal(
        tabs.map(refreshesOf).reduce((sum, count) => sum + count),
        1,
      );
    });

    /** Two clients that share what the tabs of a browser share, cookies included, of which the first has logged in. */
    async function twoTabs(t: Test, shared: Pick<DeviceOptions, 'lock' | 'store'>): Promise<readonly [Device, Device]> {
      const jar = new Map<string, string>();
      const one = await loggedIn(t, { ...shared, jar });
      const other = createDevice(service.base, { transport, ...shared, jar });
      t.equal((await other.api.GET('/secret')).response.status, 200);
      return [one, other];
    }

    t.test('nothing is repeated in the session of somebody else, who has logged in meanwhile', async (t) => {
      const bob = await confirmedPerson(service);
      let logsIn = () => Promise.resolve();
      const device = await loggedIn(t, {
        async fetch(request) {
          const answer = await fetch(request);
          if (answer.status === 401) await logsIn();
          return answer;
        },
      });
      expire();
      logsIn = async () => {
        logsIn = () => Promise.resolve();
        await device.logIn({ username: bob.username, password: bob.password });
      };
      const { error } = await device.api.PATCH('/auth/me', { body: { locale: 'de' } });
      t.equal(error?.code, 'unauthenticated');
      t.equal(countOf(device, 'PATCH /auth/me'), 1);
      t.equal((await device.api.GET('/auth/me')).data?.user.id, bob.id);
    });
  });
}

t.test('the client of the examples gives up a refresh that is not answered, and logs nobody out', async (t) => {
  const service = await startHttpService(t);
  const { username, password } = await confirmedPerson(service);
  const device = createDevice(service.base, {
    fetch: (request) => (request.url.endsWith('/auth/refresh') ? never(request) : fetch(request)),
  });
  await device.logIn({ username, password });
  service.clock.advance({ minutes: 6 });
  await t.rejects(device.api.GET('/secret'), { name: 'TimeoutError' });
  t.equal(device.timesLoggedOut(), 0);
  t.equal(await device.isLoggedIn(), true);
});

/** Waits until whoever has asked does not want an answer any more. */
function never({ signal }: Request): Promise<Response> {
  return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

function unavailable(): Response {
  const problem = {
    type: '/problems/service_unavailable',
    title: 'Service unavailable',
    status: 503,
    code: 'service_unavailable',
    detail: 'Wait.',
  };
  const headers = { 'content-type': 'application/problem+json', 'retry-after': '7' };
  return new Response(JSON.stringify(problem), { status: 503, headers });
}
