import type { operations } from '../../openapi/latchkey.d.ts';

export type LoginResult = operations['login']['responses'][200]['content']['application/json'];

/** What a client remembers of its session. In cookie mode it holds no tokens: the browser has them. */
export interface HeldSession {
  readonly id: string;
  /** When the access token is over, in milliseconds by the clock of this device. */
  readonly expiresAt: number;
  readonly accessToken?: string;
  readonly refreshToken?: string;
}

/** Where the session is remembered; the same place for all who share it, such as the tabs of a browser. */
export interface SessionStore {
  read(): Promise<HeldSession | undefined>;
  /** Replaces what is remembered; undefined forgets it. */
  write(session: HeldSession | undefined): Promise<void>;
}

/** Remembers the session for as long as the process or the page lives. */
export function inMemory(): SessionStore {
  let held: HeldSession | undefined;
  return {
    read: async () => held,
    async write(session) {
      held = session;
    },
  };
}

/** What is to be remembered of an answer to a login or a refresh that arrived at `now`. */
export function sessionOf(result: LoginResult, now: number): HeldSession {
  const session = { id: result.session.id, expiresAt: now + result.expiresIn * 1000 };
  if (!('accessToken' in result)) return session;
  return { ...session, accessToken: result.accessToken, refreshToken: result.refreshToken };
}

/** Whether neither a refresh nor a login has replaced one by the other. */
export function isSame(one: HeldSession, other: HeldSession): boolean {
  return one.id === other.id && one.expiresAt === other.expiresAt && one.refreshToken === other.refreshToken;
}
