import { digest, type Person, type Session } from './people.ts';
import type { Random } from './seed.ts';
import type { Attempt, Wire } from './wire.ts';

/** What is dead, and must stay so; and who is not let in yet. */
export interface Graveyard {
  /** The session of somebody who is not going to confirm. */
  keepOut(person: Person, session: Session): void;
  buryRefreshToken(person: Person, session: Session, token: string, at: number): void;
  burySession(person: Person, session: Session): void;
  buryPassword(person: Person, password: string): void;
  buryResetToken(person: Person, token: string): void;
  /** Tries one of them, if there is one. */
  disturb(random: Random): Promise<void>;
  /** Tries so many of all that were ever there. */
  disturbSome(random: Random, most: number): Promise<void>;
}

interface Grave {
  /** Before this, it may still be taken for a client that came twice at once. */
  readonly notBefore: number;
  readonly attempts: readonly Attempt[];
}

/** The newest so many are tried again and again. */
const capacity = 400;
/** Of those that have just died, somebody may not have heard yet: so many are tried more often. */
const fresh = 12;
/** Within 10 s, a refresh token may come twice. */
const graceMs = 11_000;

export function createGraveyard(wire: Wire, now: () => number): Graveyard {
  const graves: Grave[] = [];
  const forgotten: Grave[] = [];

  function bury(grave: Grave): void {
    graves.push(grave);
    if (graves.length > capacity) forgotten.push(...graves.splice(0, 1));
  }

  async function open({ attempts }: Grave): Promise<void> {
    for (const attempt of attempts) await wire.send(attempt);
  }

  const due = () => graves.filter(({ notBefore }) => notBefore <= now());
  const post = (path: string, body: object) => ({ method: 'POST', path, body }) as const;

  return {
    keepOut({ email }, { id, accessToken }) {
      const read = { operation: 'read', person: email, session: id, method: 'GET', path: '/secret', accessToken } as const;
      bury({ notBefore: now(), attempts: [read] });
    },

    buryRefreshToken({ email }, { id }, refreshToken, at) {
      const seen = { operation: 'refresh with a spent token', person: email, session: id, token: digest(refreshToken) } as const;
      bury({ notBefore: at + graceMs, attempts: [{ ...seen, ...post('/auth/refresh', { refreshToken }) }] });
    },

    burySession({ email }, { id, accessToken, refreshToken }) {
      const seen = { person: email, session: id };
      const read = { ...seen, operation: 'read with a dead session', method: 'GET', path: '/secret', accessToken } as const;
      const refresh = { ...seen, operation: 'refresh a dead session', ...post('/auth/refresh', { refreshToken }) } as const;
      bury({ notBefore: now(), attempts: [refresh] });
      // On either instance, as likely as not.
      bury({ notBefore: now(), attempts: [read, read] });
    },

    buryPassword({ email }, password) {
      const login = { operation: 'log in with an old password', person: email, ...post('/auth/login', { email, password }) } as const;
      bury({ notBefore: now(), attempts: [login] });
    },

    buryResetToken({ email }, token) {
      const seen = { operation: 'reset with a spent token', person: email, token: digest(token) } as const;
      bury({
        notBefore: now(),
        attempts: [{ ...seen, ...post('/auth/password/reset', { token, newPassword: 'taken over by somebody else' }) }],
      });
    },

    async disturb(random) {
      const candidates = due();
      if (candidates.length > 0) await open(random.pick(random.chance(0.5) ? candidates.slice(-fresh) : candidates));
    },

    async disturbSome(random, most) {
      for (const grave of random.sample([...forgotten, ...due()], most)) await open(grave);
    },
  };
}
