import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import fastifyJwt from '@fastify/jwt';
import type { FastifyInstance } from 'fastify';
import type { Clock } from './clock.ts';
import type { Config, Purpose } from './config.ts';
import { createLeakedPasswords, noLeakedPasswords } from './credentials/leaked-passwords.ts';
import { createPasswordPolicy, type PasswordPolicy } from './credentials/new-password.ts';
import { createPasswordHasher } from './credentials/password-hashing.ts';
import type { PoolUse, Queryable } from './db/database.ts';
import type { Failpoints } from './failpoints.ts';
import { createClientDigests } from './guard/client-digest.ts';
import { sessionCookies } from './guard/cookies.ts';
import { createCrossOriginCheck } from './guard/cross-origin.ts';
import { openRevocationFeed } from './guard/revocation-feed.ts';
import { createEventBuffer } from './identity/event-buffer.ts';
import { createLimits } from './limits/create-limits.ts';
import { createComposer } from './mail/composer.ts';
import { type Mailbox, openMailbox } from './mail/mailbox.ts';
import { createSmtpTransport } from './mail/smtp-transport.ts';
import { loadMailTemplates } from './mail/templates.ts';
import { createMailWorker, idleMailWorker } from './mail/worker.ts';
import { createFormProofs } from './pages/forms.ts';
import { createPages } from './pages/pages.ts';
import { loadPageTemplates } from './pages/templates.ts';
import { startPurging } from './purge/purge.ts';
import { createRepeater } from './repeater.ts';
import type { Services } from './services.ts';
import { createTelemetry } from './telemetry.ts';
import { createAccessTokens } from './tokens/access-token.ts';
import { type ActionTokens, actionTokenJwtOptions, createActionTokens, purposeKeys } from './tokens/action-token.ts';
import { type KeyRing, openKeyRing } from './tokens/key-ring.ts';
import { createRefreshTokens } from './tokens/refresh-token.ts';

export interface Foundations {
  readonly config: Config;
  readonly clock: Clock;
  readonly db: Queryable;
  readonly feedDb: Queryable;
  readonly poolUse: () => PoolUse;
  readonly secrets: readonly string[];
  readonly failpoints: Failpoints | undefined;
  readonly worksInBackground: boolean;
}

/** How often an instance looks for keys that another one has made or revoked: a revoked key is dead everywhere within this. */
const keyRefreshMs = 15_000;

/**
 * Builds what the capabilities are made from, and starts what works in the background: the mail worker, the feed of
 * ended sessions, and the rotation of keys. Closing the app stops them.
 */
export async function createServices(app: FastifyInstance, foundations: Foundations): Promise<Services> {
  const { config, clock, db, feedDb, poolUse, secrets, failpoints, worksInBackground } = foundations;
  const telemetry = createTelemetry();
  const { accessTtlSeconds } = config.tokens;
  const { publicUrl } = config.server;

  const keyRing = await openKeyRing({ db, secrets, clock, accessTtlSeconds, rotationDays: config.sessions.signingKeyRotationDays });
  closeWith(
    app,
    createRepeater({ work: keyRing.refresh, everyMs: keyRefreshMs, log: app.log, complaint: 'the signing keys cannot be looked up' }),
  );
  const revocations = closeWith(app, await openRevocationFeed({ db: feedDb, clock, accessTtlSeconds, log: app.log }));
  if (worksInBackground) closeWith(app, startPurging({ db, clock, retention: config.retention, revocations }, app.log));
  const eventBuffer = closeWith(app, createEventBuffer({ db, log: app.log }));
  const actionTokens = await createAllActionTokens(app, foundations, keyRing);
  const { mailbox, worker } = await startMail(app, foundations, { actionTokens, telemetry });
  const formProofs = createFormProofs(secrets);
  const clientDigests = createClientDigests(secrets);
  const limits = closeWith(
    app,
    await createLimits({
      ...{ db, clock, log: app.log },
      networkDigests: clientDigests.all,
      isOn: config.rateLimit,
      redisUrl: config.redisUrl,
      secret: secrets[0] as string,
    }),
  );
  const pages = createPages(config, loadPageTemplates(config.pagesDir), formProofs);

  return {
    config,
    secrets,
    clock,
    db,
    feedDb,
    poolUse,
    telemetry,
    hasher: await createPasswordHasher(config.passwords, availableParallelism()),
    passwordPolicy: passwordPolicyOf(app, config),
    accessTokens: createAccessTokens({ keys: keyRing, issuer: publicUrl, ttlSeconds: accessTtlSeconds, clock }),
    refreshTokens: createRefreshTokens(secrets),
    actionTokens,
    keyRing,
    revocations,
    eventBuffer,
    clientDigests,
    limits,
    checkOrigin: createCrossOriginCheck(publicUrl, config.sessions.corsOrigins),
    sessionCookies: sessionCookies(publicUrl),
    pages,
    formProofs,
    mailbox,
    wakeMail: worker.wake,
    mailOutage: worker.outage,
    failpoints,
    worksInBackground,
  };
}

/** Has something closed with the app, from the moment on at which it is there: the rest of the start may fail. */
function closeWith<Closeable extends { close(): Promise<void> }>(app: FastifyInstance, closeable: Closeable): Closeable {
  app.addHook('onClose', () => closeable.close());
  return closeable;
}

function passwordPolicyOf(app: FastifyInstance, { serviceName, passwords }: Config): PasswordPolicy {
  const { minLength, rangeUrl } = passwords;
  const complain = (err: unknown) => app.log.warn({ err }, 'a new password could not be looked up among the leaked ones, and was accepted');
  const leakedPasswords = rangeUrl === undefined ? noLeakedPasswords : createLeakedPasswords({ url: rangeUrl, complain });
  const policy = createPasswordPolicy({ serviceName, minLength, leakedPasswords });
  // Not when the first password is chosen: a module that cannot be opened in that moment is missing ever after.
  app.addHook('onListen', policy.load);
  return policy;
}

async function createAllActionTokens(
  app: FastifyInstance,
  { config, clock, secrets }: Foundations,
  keyRing: Pick<KeyRing, 'lastRevocation'>,
): Promise<Services['actionTokens']> {
  const issuer = config.server.publicUrl;
  async function forPurpose(purpose: Purpose): Promise<ActionTokens> {
    const ttlSeconds = config.tokens.actionTtlSeconds[purpose];
    const options = { purpose, keys: purposeKeys(secrets, purpose), issuer, ttlSeconds, clock, voidUntil: keyRing.lastRevocation };
    await app.register(fastifyJwt, actionTokenJwtOptions(options));
    return createActionTokens(app.jwt[purpose], options);
  }
  return {
    confirmation: await forPurpose('confirmation'),
    'password-reset': await forPurpose('password-reset'),
    'email-change': await forPurpose('email-change'),
    disown: await forPurpose('disown'),
  };
}

async function startMail(
  app: FastifyInstance,
  { config, clock, db, failpoints, worksInBackground }: Foundations,
  { actionTokens, telemetry }: Pick<Services, 'actionTokens' | 'telemetry'>,
) {
  const { dkim, from, smtpUrl, templatesDir } = config.mail;
  const mailbox: Mailbox | undefined = smtpUrl === undefined ? await openMailbox(join(config.dataDir, 'mailbox'), from, clock) : undefined;
  const transport = mailbox ?? createSmtpTransport({ url: smtpUrl as string, from, dkim });
  const templates = loadMailTemplates(templatesDir);
  const compose = createComposer({ db, config, templates, actionTokens });
  const worker = worksInBackground
    ? createMailWorker({ db, clock, transport, compose, log: app.log, failpoints, telemetry })
    : idleMailWorker;
  return { mailbox, worker: closeWith(app, worker) };
}

declare module '@fastify/jwt' {
  interface FastifyJWT {
    namespaces: Purpose;
  }
}
