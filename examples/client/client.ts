import createApi from 'openapi-fetch';
import type { components, operations, paths } from '../../openapi/latchkey.d.ts';
import { createRenewal } from './renewal.ts';
import { type SessionStore, sessionOf } from './session-store.ts';

type Problem = components['schemas']['Problem'];
type Credentials = Omit<operations['login']['requestBody']['content']['application/json'], 'transport'>;

export interface ClientOptions {
  /** Where Latchkey is reached, such as `https://accounts.example.com`; empty for the origin of the page. */
  readonly baseUrl: string;
  /** How the tokens travel: to the script, which sends them along, or in cookies that it cannot read. */
  readonly transport: 'bearer' | 'cookie';
  readonly store: SessionStore;
  /**
   * Runs one piece of work after the other, over all who share the store; Web Locks in a browser. Without it, the
   * client has the store to itself.
   */
  readonly lock?: Lock;
  /** Told once when a session is over, whoever ended it: log in again. */
  readonly onLoggedOut?: () => void;
  readonly fetch?: (request: Request) => Promise<Response>;
  /** Milliseconds, as of `Date.now`. */
  readonly now?: () => number;
}

export type Lock = <Result>(work: () => Promise<Result>) => Promise<Result>;
export type Client = ReturnType<typeof createClient>;
/** Every operation of the OpenAPI document, typed; the session is sent along and refreshed. */
export type Api = Client['api'];

/**
 * A client of Latchkey that keeps its session up by itself.
 *
 * An access token that is refused, or nearly over, is refreshed before the application hears of it: once for all requests
 * that wait for it, and each of them is repeated once at most. Only a refresh that is refused ends the session. One that
 * gets no answer rejects as `fetch` does, and one that is answered with a problem, such as `service_unavailable`, is
 * answered with that; the session lives on.
 */
export function createClient(options: ClientOptions) {
  const { baseUrl, transport, store, now = Date.now, fetch = globalThis.fetch } = options;
  const credentials = transport === 'cookie' ? 'include' : 'omit';
  const lock = options.lock ?? createLock();
  /** For requests that must not wait for a refresh. */
  const plain = createApi<paths>({ baseUrl, credentials, fetch });
  const renewal = createRenewal({ api: plain, lock, store, now, onLoggedOut: options.onLoggedOut ?? (() => {}) });
  const api = createApi<paths>({ baseUrl, credentials, fetch: sendInSession });

  async function sendInSession(request: Request): Promise<Response> {
    // A body can be read once.
    const again = request.clone();
    const used = await renewal.upToDate();
    const answer = await fetch(authorized(request, used?.accessToken));
    if (used === undefined || !(await isUnauthenticated(answer))) return answer;
    const { session, failure } = await renewal.renew(used);
    if (failure !== undefined) return failure();
    // Nothing is repeated in the session of somebody who has logged in meanwhile.
    return session?.id === used.id ? fetch(authorized(again, session.accessToken)) : answer;
  }

  return {
    api,
    /** Opens a session, whether or not the address is confirmed, and answers as `api.POST('/auth/login')` does. */
    logIn: (body: Credentials) =>
      // A refresh of an older session must not come after it.
      lock(async () => {
        const result = await plain.POST('/auth/login', { body: { ...body, transport } });
        if (result.data !== undefined) await renewal.hold(sessionOf(result.data, now()));
        return result;
      }),
    /** Ends the session, and answers as `api.POST('/auth/logout')` does: without a 204 or 401 it may still live. */
    async logOut() {
      const result = await api.POST('/auth/logout');
      if (result.response.ok || result.response.status === 401) await lock(() => renewal.hold(undefined));
      return result;
    },
    /** Whether there is a session, as far as is known here; tells `onLoggedOut` if there is none any more. */
    isLoggedIn: async () => (await renewal.held()) !== undefined,
  };
}

function authorized(request: Request, accessToken: string | undefined): Request {
  if (accessToken !== undefined) request.headers.set('Authorization', `Bearer ${accessToken}`);
  return request;
}

/** Not every 401: that of a wrong password says nothing of the session. */
async function isUnauthenticated(answer: Response): Promise<boolean> {
  if (answer.status !== 401) return false;
  const problem = (await answer
    .clone()
    .json()
    .catch(() => ({}))) as Partial<Problem>;
  return problem.code === 'unauthenticated';
}

/** Lets one after the other do what must not be done at once, within a process, as Web Locks do for the tabs of a browser. */
export function createLock(): Lock {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
}
