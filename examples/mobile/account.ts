import { type ClientOptions, createClient } from '../client/client.ts';
import type { KeyStore } from './key-store.ts';
import { storeInKeys } from './key-store.ts';

interface AccountOptions extends Pick<ClientOptions, 'baseUrl' | 'fetch' | 'onLoggedOut'> {
  readonly keyStore: KeyStore;
  /** The link of confirmation mails up to the token, such as `https://app.example.com/confirm#`. */
  readonly linkPrefix: string;
}

/** What came of a link: say it, and for `password_needed` ask for the password. */
export type LinkOutcome =
  | 'confirmed'
  | 'already_confirmed'
  | 'password_needed'
  | 'wrong_password'
  | 'wrong_account'
  | 'expired'
  | 'invalid'
  | 'not_ours'
  | 'try_again';

/** The account of the person who has the phone; everything of the app that has to do with it, but its looks. */
export function createAccount({ keyStore, linkPrefix, ...options }: AccountOptions) {
  const client = createClient({ ...options, transport: 'bearer', store: storeInKeys(keyStore) });
  const { api } = client;

  return {
    api,
    /** Whether somebody was logged in when the app was last used; the first request shows whether they still are. */
    isLoggedIn: client.isLoggedIn,
    logOut: client.logOut,

    logIn: (username: string, password: string) => client.logIn({ username, password, rememberMe: true }),

    /**
     * For every link that opens the app. One of a confirmation mail confirms the address: without more in the session of
     * its account, and with the password where nobody is logged in, or somebody else.
     *
     * @throws what `fetch` throws when there is no answer; the link works for an hour
     */
    async openLink(url: string, password?: string): Promise<LinkOutcome> {
      if (!url.startsWith(linkPrefix)) return 'not_ours';
      const token = url.slice(linkPrefix.length);
      const { data, error } = await api.POST('/auth/confirm', { body: { token, ...(password !== undefined && { password }) } });
      return data?.status ?? outcomes[error?.code ?? ''] ?? 'try_again';
    },
  };
}

const outcomes: Readonly<Record<string, LinkOutcome>> = {
  unauthenticated: 'password_needed',
  invalid_credentials: 'wrong_password',
  wrong_account: 'wrong_account',
  expired_token: 'expired',
  invalid_token: 'invalid',
  validation_failed: 'invalid',
};
