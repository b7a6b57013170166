import type { Clock } from './clock.ts';
import type { Config, Purpose } from './config.ts';
import type { PasswordPolicy } from './credentials/new-password.ts';
import type { PasswordHasher } from './credentials/password-hashing.ts';
import type { PoolUse, Queryable } from './db/database.ts';
import type { Failpoints } from './failpoints.ts';
import type { ClientDigests } from './guard/client-digest.ts';
import type { SessionCookies } from './guard/cookies.ts';
import type { CrossOriginCheck } from './guard/cross-origin.ts';
import type { RevocationFeed } from './guard/revocation-feed.ts';
import type { EventBuffer } from './identity/event-buffer.ts';
import type { Limits } from './limits/create-limits.ts';
import type { Mailbox } from './mail/mailbox.ts';
import type { MailOutage } from './mail/server-monitor.ts';
import type { FormProofs } from './pages/forms.ts';
import type { Pages } from './pages/pages.ts';
import type { Telemetry } from './telemetry.ts';
import type { AccessTokens } from './tokens/access-token.ts';
import type { ActionTokens } from './tokens/action-token.ts';
import type { KeyRing } from './tokens/key-ring.ts';
import type { RefreshTokens } from './tokens/refresh-token.ts';

/** What the capabilities are built from; each names the part that it needs. */
export interface Services {
  readonly config: Config;
  /** The first signs and seals, all verify and open. */
  readonly secrets: readonly string[];
  readonly clock: Clock;
  readonly db: Queryable;
  /** For the feed of ended sessions alone. */
  readonly feedDb: Queryable;
  /** How many connections to a server there are. */
  readonly poolUse: () => PoolUse;
  readonly hasher: PasswordHasher;
  readonly passwordPolicy: PasswordPolicy;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly keyRing: KeyRing;
  readonly revocations: RevocationFeed;
  readonly eventBuffer: EventBuffer;
  readonly clientDigests: ClientDigests;
  readonly checkOrigin: CrossOriginCheck;
  readonly limits: Limits;
  readonly sessionCookies: SessionCookies;
  readonly actionTokens: Readonly<Record<Purpose, ActionTokens>>;
  readonly pages: Pages;
  readonly formProofs: FormProofs;
  /** Where mails go when no mail server is configured. */
  readonly mailbox: Mailbox | undefined;
  /** Tells the mail worker, after a commit, that there may be something to send. */
  readonly wakeMail: () => void;
  readonly telemetry: Telemetry;
  /** Why no mail is being sent; undefined when all is well. */
  readonly mailOutage: () => MailOutage | undefined;
  /** Whether this process does what nobody has asked for right now. */
  readonly worksInBackground: boolean;
  /** For tests of faults. */
  readonly failpoints: Failpoints | undefined;
}
