import type { Client as OpenApiClient } from 'openapi-fetch';
import type { paths } from '../../openapi/latchkey.d.ts';
import type { Lock } from './client.ts';
import { type HeldSession, isSame, type SessionStore, sessionOf } from './session-store.ts';

/** An access token with less than this left is refreshed before it is used. */
const marginMs = 10_000;
/** Half of the time for which a refresh token may be sent again when the answer to it was lost. */
const patienceMs = 5000;

interface Needs {
  /** Sends requests as they are. */
  readonly api: OpenApiClient<paths>;
  readonly lock: Lock;
  readonly store: SessionStore;
  readonly now: () => number;
  readonly onLoggedOut: () => void;
}

/** A session to go on with, none when it is over, or why that cannot be told. */
interface Outcome {
  readonly session?: HeldSession | undefined;
  readonly failure?: () => Response;
}

/** Refreshes a session, one refresh at a time, and tells once when it is over. */
export function createRenewal({ api, lock, store, now, onLoggedOut }: Needs) {
  let wasLoggedIn = false;
  let pending: Promise<Outcome> | undefined;

  /** What the store holds, whoever put it there. */
  async function held(): Promise<HeldSession | undefined> {
    return noticed(await store.read());
  }

  /** Replaces what is held; for those who have the lock. */
  async function hold(session: HeldSession | undefined): Promise<void> {
    await store.write(session);
    noticed(session);
  }

  function noticed(session: HeldSession | undefined): HeldSession | undefined {
    const isOver = wasLoggedIn && session === undefined;
    wasLoggedIn = session !== undefined;
    if (isOver) onLoggedOut();
    return session;
  }

  /** What is held, refreshed if its time is nearly over and that succeeds. */
  async function upToDate(): Promise<HeldSession | undefined> {
    const session = await held();
    if (session === undefined || session.expiresAt - now() > marginMs) return session;
    try {
      const { session: renewed, failure } = await renew(session);
      return failure === undefined ? renewed : session;
    } catch {
      // The request itself will show whether there is a connection.
      return session;
    }
  }

  /**
   * Replaces a session that was refused. All who ask meanwhile get the same outcome.
   *
   * @throws what `fetch` throws when there is no answer
   */
  function renew(used: HeldSession): Promise<Outcome> {
    pending ??= lock(() => renewOnce(used)).finally(() => {
      pending = undefined;
    });
    return pending;
  }

  async function renewOnce(used: HeldSession): Promise<Outcome> {
    const session = await held();
    // Another tab was faster, with the refresh or with a logout.
    if (session === undefined || !isSame(session, used)) return { session };
    const { refreshToken } = session;
    const { data, error, response } = await api.POST('/auth/refresh', {
      ...(refreshToken !== undefined && { body: { refreshToken } }),
      signal: AbortSignal.timeout(patienceMs),
    });
    if (data === undefined && response.status !== 401) return { failure: () => new Response(JSON.stringify(error), response) };
    const renewed = data && sessionOf(data, now());
    await hold(renewed);
    return { session: renewed };
  }

  return { held, hold, upToDate, renew };
}
