import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Sink } from './sink.ts';
import type { Answer, Attempt, Wire } from './wire.ts';

/** Somebody who uses the service, with what they know. */
export interface Person {
  readonly email: string;
  readonly username: string;
  password: string;
  /** Whether or not it succeeded. */
  hasTriedToConfirm: boolean;
  /** Whether it is not known if their last new password was taken. */
  isUnsure?: boolean;
}

export interface Session {
  readonly id: string;
  accessToken: string;
  refreshToken: string;
}

/** What people do, one request after the other. */
export interface Deeds {
  /** Answers whether there is an account now. */
  register(person: Person, spelling?: (name: string) => string): Promise<boolean>;
  logIn(person: Person, operation?: 'log in' | 'log in at the end'): Promise<Session | undefined>;
  confirm(person: Person, token: string, operation?: 'confirm' | 'confirm at the end'): Promise<boolean>;
  read(person: Person, session: Session): Promise<Answer>;
  /** Answers the token that is spent now; undefined when the session has not gone on. */
  refresh(person: Person, session: Session): Promise<string | undefined>;
  logOut(person: Person, session: Session): Promise<boolean>;
  /** Asks for a mail and sets the password by it; answers the token, which is spent now, or undefined when no mail came. */
  reset(person: Person, password: string): Promise<string | undefined>;
  /** Waits for the newest link of a kind; undefined when it takes too long. */
  mailedToken(person: Person, path: string, since?: number): Promise<string | undefined>;
}

export const confirmationPath = '/auth/confirm/';
const resetPath = '/auth/password/reset/';
const mailWithinMs = 15_000;

export const digest = (token: string) => createHash('sha256').update(token).digest('hex').slice(0, 12);

export function createDeeds(wire: Wire, sink: Sink, isOver: () => boolean): Deeds {
  const post = (attempt: Omit<Attempt, 'method'>) => wire.insist({ method: 'POST', ...attempt });

  async function mailedToken({ email }: Person, path: string, since = 0): Promise<string | undefined> {
    const end = performance.now() + mailWithinMs;
    while (performance.now() < end && !isOver()) {
      const token = sink.newestToken(email, path, since);
      if (token !== undefined) return token;
      await pause(100);
    }
    return undefined;
  }

  return {
    mailedToken,

    async register({ email, username, password }, spelling = (name) => name) {
      const body = { email: spelling(email), username: spelling(username), password };
      const seen = { operation: 'register', person: email, username: username.toLowerCase() } as const;
      const { outcome, code, start, since } = await post({ ...seen, path: '/auth/register', body });
      // The user name alone may be somebody else's.
      return outcome === 'ok' || (code === 'email_taken' && since < start);
    },

    async logIn({ email, password }, operation = 'log in') {
      const { body } = await post({ operation, person: email, path: '/auth/login', body: { email, password } });
      const { accessToken, refreshToken, session } = body;
      if (accessToken === undefined || refreshToken === undefined || session === undefined) return undefined;
      return { id: session.id, accessToken, refreshToken };
    },

    async confirm(person, token, operation = 'confirm') {
      const { email, password } = person;
      person.hasTriedToConfirm = true;
      const { outcome } = await post({ operation, person: email, path: '/auth/confirm', token: digest(token), body: { token, password } });
      return outcome === 'ok';
    },

    read: ({ email }, { id, accessToken }) =>
      wire.send({ operation: 'read', person: email, method: 'GET', path: '/secret', session: id, accessToken }),

    async refresh({ email }, session) {
      const { id, refreshToken } = session;
      const seen = { operation: 'refresh', person: email, session: id, token: digest(refreshToken) } as const;
      const { body } = await post({ ...seen, path: '/auth/refresh', body: { refreshToken } });
      if (body.accessToken === undefined || body.refreshToken === undefined) return undefined;
      Object.assign(session, { accessToken: body.accessToken, refreshToken: body.refreshToken });
      return refreshToken;
    },

    async logOut({ email }, { id, accessToken }) {
      const attempt = { operation: 'log out', person: email, path: '/auth/logout', session: id, accessToken } as const;
      const { outcome, status, since, start } = await post(attempt);
      return outcome === 'ok' || (status === 401 && since < start);
    },

    async reset(person, newPassword) {
      const { email } = person;
      const asked = await post({ operation: 'ask for a reset', person: email, path: '/auth/password/forgot', body: { email } });
      const token = await mailedToken(person, resetPath, asked.since);
      if (token === undefined) return undefined;
      const seen = { operation: 'reset', person: email, token: digest(token) } as const;
      const { outcome, code, since, start } = await post({ ...seen, path: '/auth/password/reset', body: { token, newPassword } });
      // A token that is found spent when it is tried again was spent by the first try.
      const isDone = outcome === 'ok' || (code === 'used_token' && since < start);
      if (isDone) person.password = newPassword;
      person.isUnsure = outcome === 'unknown';
      return isDone ? token : undefined;
    },
  };
}
