import type { Clock } from '../clock.ts';
import type { Config } from '../config.ts';
import type { PasswordHasher } from '../credentials/password-hashing.ts';
import type { Queryable } from '../db/database.ts';
import type { ClientDigests } from '../guard/client-digest.ts';
import type { SessionCookies } from '../guard/cookies.ts';
import type { CrossOriginCheck } from '../guard/cross-origin.ts';
import type { RevocationFeed } from '../guard/revocation-feed.ts';
import type { EventBuffer } from '../identity/event-buffer.ts';
import type { Limits } from '../limits/create-limits.ts';
import type { RefreshTokens } from '../tokens/refresh-token.ts';
import type { FormProofs } from './forms.ts';
import type { Pages } from './pages.ts';

/** What the pages of links are made from. */
export interface PageServices {
  readonly config: Config;
  readonly clock: Clock;
  readonly db: Queryable;
  readonly hasher: PasswordHasher;
  readonly eventBuffer: EventBuffer;
  readonly revocations: RevocationFeed;
  readonly refreshTokens: RefreshTokens;
  readonly clientDigests: ClientDigests;
  readonly checkOrigin: CrossOriginCheck;
  readonly sessionCookies: SessionCookies;
  readonly limits: Limits;
  readonly pages: Pages;
  readonly formProofs: FormProofs;
}
