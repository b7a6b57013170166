import type { HeldSession, SessionStore } from '../client/session-store.ts';

/** What the platform keeps encrypted for this app alone: the Keychain of iOS, or the Keystore of Android. */
export interface KeyStore {
  get(name: string): Promise<string | null>;
  set(name: string, value: string): Promise<void>;
  delete(name: string): Promise<void>;
}

const name = 'latchkey-session';

/** Keeps the refresh token in the key store. The access token stays in memory: the next start of the app gets another. */
export function storeInKeys(keyStore: KeyStore): SessionStore {
  let held: HeldSession | undefined;
  return {
    async read() {
      if (held !== undefined) return held;
      const text = await keyStore.get(name);
      held = text === null ? undefined : { ...JSON.parse(text), expiresAt: 0 };
      return held;
    },
    async write(session) {
      held = session;
      if (session === undefined) await keyStore.delete(name);
      else await keyStore.set(name, JSON.stringify({ id: session.id, refreshToken: session.refreshToken }));
    },
  };
}
