import type { Sent } from './load.ts';
import type { Measured } from './servers.ts';
import { password } from './world.ts';

/** People with accounts at a service that is compared with this one. */
export interface PeerPeople {
  /** Logs all of them in anew, and answers their guarded requests. */
  guarded(): Promise<Sent[]>;
  readonly logins: readonly Sent[];
}

interface Paths {
  readonly register: string;
  readonly login: string;
}

export const betterAuth: Paths = { register: '/api/auth/sign-up/email', login: '/api/auth/sign-in/email' };
export const express: Paths = { register: '/register', login: '/login' };
const count = 100;
const headers = { 'content-type': 'application/json' };

/** Registers them. */
export async function createPeerPeople({ url }: Measured, paths: Paths): Promise<PeerPeople> {
  const emails = Array.from({ length: count }, (_, index) => `ada${index}@example.com`);

  async function post(path: string, body: object): Promise<Response> {
    // A request of a script, as Node's fetch says that it is, has to name its origin.
    const answer = await fetch(`${url}${path}`, { method: 'POST', headers: { ...headers, origin: url }, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`);
    return answer;
  }

  for (const email of emails) await post(paths.register, { email, password, name: 'Ada' });
  return {
    async guarded() {
      const requests: Sent[] = [];
      for (const email of emails) {
        const answer = await post(paths.login, { email, password });
        const cookie = answer.headers.getSetCookie().map((each) => each.split(';')[0]);
        requests.push({ method: 'GET', path: '/guarded', headers: { cookie: cookie.join('; ') } });
      }
      return requests;
    },
    logins: emails.map((email) => ({ method: 'POST', path: paths.login, headers, body: JSON.stringify({ email, password }) })),
  };
}
