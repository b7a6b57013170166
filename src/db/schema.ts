import { sql } from 'drizzle-orm';
import { boolean, customType, index, integer, pgTable, primaryKey, text, timestamp, unique, uuid } from 'drizzle-orm/pg-core';
import type { EventType, MailKind, MailStatus } from './kinds.ts';

/** Text that is compared byte by byte, so that equality is the same in every locale and on every engine. */
const byteText = customType<{ data: string }>({ dataType: () => 'text COLLATE "C"' });
const bytes = customType<{ data: Buffer; driverData: Uint8Array }>({
  dataType: () => 'bytea',
  fromDriver: (value) => Buffer.from(value),
});
/** Of an address of a network host, the longest is an IPv4 address in IPv6 form (RFC 4291 §2.2). */
export const maxIpLength = 45;
/** What a proxy has called an address, which older rows have at any length: the beginning is what is read. */
const ipText = customType<{ data: string; driverData: string }>({
  dataType: () => 'text',
  fromDriver: (value) => value.slice(0, maxIpLength),
});
const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' });

export const roles = pgTable('roles', {
  name: text('name').primaryKey(),
});

export const users = pgTable(
  'users',
  {
    id: uuid('id').primaryKey(),
    /** As typed; mail goes here. */
    email: text('email').notNull(),
    /** Lower case, for comparison. */
    emailCanonical: byteText('email_canonical').notNull(),
    username: text('username').notNull(),
    usernameCanonical: byteText('username_canonical').notNull(),
    passwordHash: text('password_hash').notNull(),
    /** Counts the changes of the password and of the address; what was signed over an older one is void. */
    credentialVersion: integer('credential_version').notNull().default(1),
    role: text('role')
      .notNull()
      .default('user')
      .references(() => roles.name),
    locale: text('locale'),
    confirmedAt: instant('confirmed_at'),
    disabledAt: instant('disabled_at'),
    /** The address that is to replace `email` once it is confirmed, and since when it was asked for. */
    pendingEmail: text('pending_email'),
    pendingEmailSince: instant('pending_email_since'),
    createdAt: instant('created_at').notNull(),
  },
  (table) => [
    unique('users_email_key').on(table.emailCanonical),
    unique('users_username_key').on(table.usernameCanonical),
    index('users_unconfirmed_idx').on(table.createdAt).where(sql`${table.confirmedAt} is null`),
    index('users_administrators_idx').on(table.id).where(sql`${table.role} = 'admin'`),
  ],
);

/** The sessions that live. One that ends goes to {@link revokedSessions}. */
export const sessions = pgTable(
  'sessions',
  {
    id: uuid('id').primaryKey(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    createdAt: instant('created_at').notNull(),
    lastUsedAt: instant('last_used_at').notNull(),
    /** When it ends if it is not refreshed before; never after `expiresAt`. */
    idleExpiresAt: instant('idle_expires_at').notNull(),
    /** When it ends in any case. */
    expiresAt: instant('expires_at').notNull(),
    rememberMe: boolean('remember_me').notNull(),
    /** How often the refresh token was rotated; the current token is derived from it. */
    refreshCounter: integer('refresh_counter').notNull().default(0),
    rotatedAt: instant('rotated_at'),
    ip: ipText('ip'),
    userAgent: text('user_agent'),
    /** A digest of the client's network and user agent: what the session is bound to. */
    client: text('client').notNull(),
  },
  (table) => [index('sessions_user_id_idx').on(table.userId), index('sessions_idle_expires_at_idx').on(table.idleExpiresAt)],
);

/** Sessions that were ended before their time: what all instances must learn of while access tokens of them may live. */
export const revokedSessions = pgTable(
  'revoked_sessions',
  {
    sessionId: uuid('session_id').primaryKey(),
    revokedAt: instant('revoked_at').notNull(),
  },
  (table) => [index('revoked_sessions_revoked_at_idx').on(table.revokedAt)],
);

/** What happened to an account, for its owner and for support. */
export const events = pgTable(
  'events',
  {
    id: uuid('id').primaryKey(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    type: text('type').$type<EventType>().notNull(),
    at: instant('at').notNull(),
    ip: ipText('ip'),
    userAgent: text('user_agent'),
    /** Which administrator did it; null when it was nobody with a session of theirs. */
    actorId: uuid('actor_id'),
  },
  (table) => [index('events_user_id_idx').on(table.userId, table.id), index('events_at_idx').on(table.at)],
);

/** From where somebody who knew the password has come lately, as digests: guesses from elsewhere do not lock these out. */
export const knownNetworks = pgTable(
  'known_networks',
  {
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    network: text('network').notNull(),
    lastUsedAt: instant('last_used_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.userId, table.network] }), index('known_networks_last_used_at_idx').on(table.lastUsedAt)],
);

/** How often something was done in a window of time. Whom it is counted for is in the key as a digest only. */
export const rateLimits = pgTable(
  'rate_limits',
  {
    key: byteText('key').primaryKey(),
    used: integer('used').notNull(),
    resetsAt: instant('resets_at').notNull(),
  },
  (table) => [index('rate_limits_resets_at_idx').on(table.resetsAt)],
);

/** The outbox: a mail is a row, committed together with what it tells of, until a worker has sent it. */
export const mails = pgTable(
  'mails',
  {
    /** Also the mail's Message-ID, so that a copy sent twice is seen to be one mail. */
    id: uuid('id').primaryKey(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    kind: text('kind').$type<MailKind>().notNull(),
    recipient: text('recipient').notNull(),
    /** What its link is good for as long as the account still is as it was; null for a mail that does not depend on it. */
    state: text('state'),
    status: text('status').$type<MailStatus>().notNull().default('queued'),
    attempts: integer('attempts').notNull().default(0),
    createdAt: instant('created_at').notNull(),
    /** When it is to be tried (again); while a worker holds it, when its lease ends. */
    dueAt: instant('due_at').notNull(),
    /** Which worker's claim holds it: the fence against a worker that lost its lease. */
    lease: uuid('lease'),
    settledAt: instant('settled_at'),
    lastError: text('last_error'),
    /** Whether the last attempt failed because the mail server could not be reached: due as soon as it can. */
    awaitsServer: boolean('awaits_server').notNull().default(false),
  },
  (table) => [
    index('mails_due_at_idx').on(table.dueAt).where(sql`${table.status} = 'queued'`),
    index('mails_settled_at_idx').on(table.settledAt).where(sql`${table.status} <> 'queued'`),
    index('mails_failed_idx').on(table.settledAt).where(sql`${table.status} = 'failed'`),
    index('mails_user_id_idx').on(table.userId, table.kind, table.createdAt),
  ],
);

/** Addresses whose owners have said that they did not register; until then, no confirmation mail goes there. */
export const disownedAddresses = pgTable('disowned_addresses', {
  emailCanonical: byteText('email_canonical').primaryKey(),
  until: instant('until').notNull(),
});

/**
 * Requests for a mail that resets a password, until an instance has looked for the account: the client's answer must
 * not take longer, or be otherwise different, when there is one.
 */
export const resetRequests = pgTable(
  'reset_requests',
  {
    id: uuid('id').primaryKey(),
    emailCanonical: byteText('email_canonical').notNull(),
    requestedAt: instant('requested_at').notNull(),
    ip: ipText('ip'),
    userAgent: text('user_agent'),
  },
  (table) => [index('reset_requests_requested_at_idx').on(table.requestedAt)],
);

/** ES256 key pairs that sign access tokens, shared by all instances. */
export const signingKeys = pgTable('signing_keys', {
  kid: text('kid').primaryKey(),
  publicKey: text('public_key').notNull(),
  /** The private key, encrypted with a key derived from AUTH_SECRET. */
  sealedPrivateKey: bytes('sealed_private_key').notNull(),
  createdAt: instant('created_at').notNull(),
  /** From when on it signs: late enough that everybody has seen it published by then. */
  activatesAt: instant('activates_at').notNull(),
  revokedAt: instant('revoked_at'),
});
