import { type ClientOptions, createClient } from '../../examples/client/client.ts';
import { inMemory, type SessionStore } from '../../examples/client/session-store.ts';
import { setCookies } from './cookies.ts';
import { assertDocumented } from './documented.ts';

/** The typed client of the examples, as an application on some device has it, with all that it was seen to do. */
export interface Device extends ReturnType<typeof createClient> {
  readonly store: SessionStore;
  /** What went over the wire, such as `POST /auth/refresh`, in order. */
  readonly sent: readonly string[];
  /** How often the application was told that it is logged out. */
  timesLoggedOut(): number;
}

type Send = (request: Request) => Promise<Response>;

export interface DeviceOptions extends Partial<Omit<ClientOptions, 'baseUrl' | 'onLoggedOut'>> {
  /** The cookies, for those who share them as the tabs of a browser do. */
  readonly jar?: Map<string, string>;
}

/** @param options may replace `fetch`, to stand between client and service */
export function createDevice(baseUrl: string, { jar = new Map(), ...options }: DeviceOptions = {}): Device {
  const { transport = 'bearer', store = inMemory(), fetch: send = globalThis.fetch } = options;
  const sent: string[] = [];
  let timesLoggedOut = 0;
  const browse = transport === 'cookie' ? withCookies(send, jar) : send;
  const client = createClient({
    ...options,
    baseUrl,
    transport,
    store,
    onLoggedOut: () => {
      timesLoggedOut += 1;
    },
    async fetch(request) {
      const { pathname } = new URL(request.url);
      sent.push(`${request.method} ${pathname}`);
      const answer = await browse(request);
      // What a test made up has no address.
      if (answer.url !== '') await assertAnswerDocumented(request.method, pathname, answer.clone());
      return answer;
    },
  });
  return { ...client, store, sent, timesLoggedOut: () => timesLoggedOut };
}

async function assertAnswerDocumented(method: string, pathname: string, answer: Response): Promise<void> {
  const { status, headers } = answer;
  assertDocumented(method, pathname, { status, headers: Object.fromEntries(headers), text: await answer.text(), body: undefined });
}

/** Sends requests as a browser does for a page of the same origin. */
function withCookies(send: Send, jar: Map<string, string>): Send {
  return async (request) => {
    if (request.credentials !== 'include') throw new Error('a request would go without its cookies');
    request.headers.set('sec-fetch-site', 'same-origin');
    if (jar.size > 0) request.headers.set('cookie', [...jar].map(([name, value]) => `${name}=${value}`).join('; '));
    const answer = await send(request);
    const fields = answer.headers.getSetCookie();
    for (const { name, value } of setCookies({ headers: { 'set-cookie': fields as never } })) {
      if (value === '') jar.delete(name);
      else jar.set(name, value);
    }
    return answer;
  };
}
