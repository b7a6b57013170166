import { createEnvironmentReader, type Sender } from './environment.ts';

/** Everything that can be set from outside, checked whole. Times are in the unit that their name carries. */
export interface Config {
  readonly production: boolean;
  readonly serviceName: string;
  readonly dataDir: string;
  readonly server: ServerConfig;
  /** A `postgres://` URL; none means the embedded database under `dataDir`. */
  readonly databaseUrl: string | undefined;
  /** Connections to a PostgreSQL server at most. */
  readonly databasePoolSize: number;
  readonly mail: MailConfig;
  /** The first signs, all verify; empty means one that is generated and kept under `dataDir`. */
  readonly authSecrets: readonly string[];
  readonly tokens: TokenConfig;
  readonly passwords: PasswordConfig;
  readonly sessions: SessionConfig;
  readonly retention: RetentionConfig;
  /** Where the client application lives, for people who have followed a link; none means that they stay on a page of the service. */
  readonly appUrl: string | undefined;
  /** Where a proxy sends people without a session, to log in; none means nowhere. */
  readonly loginUrl: string | undefined;
  /** The application that requests are passed on to which are not the service's own; none means that there are no others. */
  readonly upstream: UpstreamConfig | undefined;
  /** A directory with page templates that replace the built-in ones. */
  readonly pagesDir: string | undefined;
  /** What confirms an address: the link with its account's session or password, or the bare link. */
  readonly confirmPolicy: ConfirmPolicy;
  /** Whether cool-downs and limits apply; off only for load tests. */
  readonly rateLimit: boolean;
  /** Where the limits are counted, a `redis://` URL; none means in the database. */
  readonly redisUrl: string | undefined;
}

export interface ServerConfig {
  readonly host: string;
  readonly port: number;
  /** Where clients reach the service, without a trailing slash. Links are built from this and from nothing else. */
  readonly publicUrl: string;
  readonly trustedProxies: readonly string[];
  /** How long it goes on answering after it has been told to stop. */
  readonly shutdownDelaySeconds: number;
  readonly logLevel: LogLevel;
  /** Where traces are sent, and in whose name; none means nowhere. */
  readonly otlpEndpoint: string | undefined;
  readonly otelServiceName: string;
  /** Where metrics are served, on the same host; none means nowhere. */
  readonly metricsPort: number | undefined;
}

export interface MailConfig {
  /** An `smtp://` or `smtps://` URL; none means the embedded mailbox. */
  readonly smtpUrl: string | undefined;
  readonly from: Sender;
  /** A directory with templates that replace the built-in ones. */
  readonly templatesDir: string | undefined;
  readonly dkim: DkimConfig | undefined;
  /** Where the links point, with `{token}` in its place. */
  readonly links: Readonly<Record<Purpose, string>>;
}

/** What a mail is signed for, and in whom's name. */
export interface DkimConfig {
  readonly domainName: string;
  readonly keySelector: string;
  readonly privateKey: string;
}

/** What a mailed link is good for. */
export type Purpose = 'confirmation' | 'password-reset' | 'email-change' | 'disown';

export interface TokenConfig {
  readonly accessTtlSeconds: number;
  readonly actionTtlSeconds: Readonly<Record<Purpose, number>>;
}

const sessionProtections = ['none', 'basic', 'strong'] as const;
/** What happens when a session is used from another network or by another user agent: nothing, a refresh, its end. */
export type SessionProtection = (typeof sessionProtections)[number];

export interface SessionConfig {
  readonly protection: SessionProtection;
  /** Origins of client applications that may send credentials. */
  readonly corsOrigins: readonly string[];
  /** After how many days another key signs; 0 rotates by hand only. */
  readonly signingKeyRotationDays: number;
}

export interface UpstreamConfig {
  /** Its origin, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Whether it is given the access token, besides being told whose it is. */
  readonly jwt: boolean;
  /** What is open to everybody: each path, and all that is below it. Without a slash at the end, but for `/` alone. */
  readonly publicPaths: readonly string[];
  /** How long it may take to begin its answer. */
  readonly timeoutSeconds: number;
}

/** After how many days something is deleted. */
export interface RetentionConfig {
  /** Accounts that were never confirmed; 0 keeps them. */
  readonly unconfirmedAccountDays: number;
  readonly eventDays: number;
}

export interface PasswordConfig {
  /** Where leaked passwords are looked up by the beginning of their digest; none means nowhere. */
  readonly rangeUrl: string | undefined;
  readonly minLength: number;
  readonly argon2MemoryKib: number;
  readonly argon2Passes: number;
  /** Threads that libuv has for hashing; the service leaves one of them free. */
  readonly threads: number;
}

/** Whatever is configured, no access token lives longer than this. */
export const maxAccessTtlSeconds = 86_400;

const confirmPolicies = ['session', 'link'] as const;
export type ConfirmPolicy = (typeof confirmPolicies)[number];

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

/** In seconds: whoever did not register looks into their mailbox in their own time. */
const disownSeconds = 7 * 24 * 3600;
/** In seconds; a link that works for more than 30 days is a standing invitation. */
const linkLifetime = { min: 1, max: 30 * 24 * 3600 };

/** Libuv's own default for UV_THREADPOOL_SIZE. */
const defaultThreads = 4;

/** Thrown by {@link loadConfig}; its message lists every fault at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
    );
    this.faults = faults;
  }
}

/**
 * Reads the whole configuration from the environment.
 *
 * An empty variable counts as absent. Values are never echoed in a fault, since they may be secret.
 *
 * @throws ConfigError naming every missing and every wrong variable in one message
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const read = createEnvironmentReader(env);
  const production = read.oneOf('NODE_ENV', ['development', 'production', 'test'], 'development') === 'production';
  const port = read.integer('PORT', 3000, { min: 0, max: 65_535 });
  const demand = production ? read.required : read.optional;
  const webSchemes = production ? ['https'] : ['http', 'https'];

  const givenUrl = demand('PUBLIC_URL');
  const base = givenUrl === undefined ? `http://localhost:${port}` : read.url('PUBLIC_URL', givenUrl, { schemes: webSchemes });
  const databaseUrl = demand('DATABASE_URL');
  const smtpUrl = demand('SMTP_URL');
  const redisUrl = read.optional('REDIS_URL');
  if (redisUrl !== undefined) read.redisUrl('REDIS_URL', redisUrl);
  if (databaseUrl !== undefined) read.url('DATABASE_URL', databaseUrl, { schemes: ['postgres', 'postgresql'] });
  if (smtpUrl !== undefined) read.url('SMTP_URL', smtpUrl, { schemes: ['smtp', 'smtps'] });

  const config: Config = {
    production,
    serviceName: read.line('SERVICE_NAME', 'Latchkey'),
    dataDir: read.line('DATA_DIR', '.latchkey'),
    server: {
      host: read.line('HOST', '127.0.0.1'),
      port,
      publicUrl: base,
      trustedProxies: read.networks('TRUSTED_PROXIES'),
      shutdownDelaySeconds: read.integer('SHUTDOWN_DELAY_SECONDS', 5, { min: 0, max: 300 }),
      logLevel: read.oneOf('LOG_LEVEL', logLevels, 'info'),
      otlpEndpoint: readOtlpEndpoint(read),
      otelServiceName: read.line('OTEL_SERVICE_NAME', 'latchkey'),
      metricsPort: read.optional('METRICS_PORT') === undefined ? undefined : read.portBeside('METRICS_PORT', 'PORT', port),
    },
    databaseUrl,
    databasePoolSize: read.integer('DATABASE_POOL_SIZE', 10, { min: 1, max: 1000 }),
    mail: {
      smtpUrl,
      from: read.sender('MAIL_FROM', demand('MAIL_FROM') ?? 'Latchkey <no-reply@latchkey.localhost>'),
      templatesDir: read.optional('MAIL_TEMPLATES_DIR'),
      dkim: read.dkim('DKIM'),
      links: {
        confirmation: read.urlTemplate('CONFIRM_URL', `${base}/auth/confirm/{token}`),
        'password-reset': read.urlTemplate('RESET_URL', `${base}/auth/password/reset/{token}`),
        'email-change': read.urlTemplate('EMAIL_CHANGE_URL', `${base}/auth/email/confirm/{token}`),
        disown: `${base}/auth/disown/{token}`,
      },
    },
    authSecrets: read.secrets('AUTH_SECRET', demand('AUTH_SECRET')),
    tokens: {
      accessTtlSeconds: read.integer('ACCESS_TOKEN_TTL_SECONDS', 300, { min: 1, max: maxAccessTtlSeconds }),
      actionTtlSeconds: {
        confirmation: read.integer('CONFIRMATION_TTL_SECONDS', 3600, linkLifetime),
        'password-reset': read.integer('RESET_TTL_SECONDS', 3600, linkLifetime),
        'email-change': read.integer('EMAIL_CHANGE_TTL_SECONDS', 3600, linkLifetime),
        disown: disownSeconds,
      },
    },
    sessions: {
      protection: read.oneOf('SESSION_PROTECTION', sessionProtections, 'basic'),
      corsOrigins: read.origins('CORS_ORIGINS'),
      signingKeyRotationDays: read.integer('SIGNING_KEY_ROTATION_DAYS', 30, { min: 0, max: 3650 }),
    },
    passwords: {
      rangeUrl: read.serviceUrl('PASSWORD_RANGE_URL'),
      minLength: read.integer('PASSWORD_MIN_LENGTH', 8, { min: 8, max: 128 }),
      argon2MemoryKib: read.integer('ARGON2_MEMORY_KIB', 19_456, { min: 8, max: 4_194_304 }),
      argon2Passes: read.integer('ARGON2_PASSES', 2, { min: 1, max: 100 }),
      threads: read.integer('UV_THREADPOOL_SIZE', defaultThreads, { min: 1, max: 1024 }),
    },
    retention: {
      unconfirmedAccountDays: read.integer('UNCONFIRMED_ACCOUNT_TTL_DAYS', 7, { min: 0, max: 3650 }),
      eventDays: read.integer('EVENTS_TTL_DAYS', 90, { min: 1, max: 3650 }),
    },
    appUrl: read.optional('APP_URL') === undefined ? undefined : read.appUrl('APP_URL'),
    loginUrl: read.optional('LOGIN_URL') === undefined ? undefined : read.appUrl('LOGIN_URL', { schemes: webSchemes }),
    upstream: readUpstream(read),
    pagesDir: read.optional('PAGES_DIR'),
    confirmPolicy: read.oneOf('CONFIRM_POLICY', confirmPolicies, 'session'),
    redisUrl,
    rateLimit: read.oneOf('RATE_LIMIT', ['on', 'off'], 'on') === 'on',
  };
  if (read.faults.length > 0) throw new ConfigError(read.faults);
  return config;
}

function readOtlpEndpoint(read: ReturnType<typeof createEnvironmentReader>): string | undefined {
  const value = read.optional('OTEL_EXPORTER_OTLP_ENDPOINT');
  return value === undefined ? undefined : read.url('OTEL_EXPORTER_OTLP_ENDPOINT', value, { schemes: ['http', 'https'] });
}

function readUpstream(read: ReturnType<typeof createEnvironmentReader>): UpstreamConfig | undefined {
  const url = read.optional('UPSTREAM_URL');
  if (url !== undefined)
    return {
      url: read.origin('UPSTREAM_URL', url),
      jwt: read.oneOf('UPSTREAM_JWT', ['on', 'off'], 'off') === 'on',
      publicPaths: read.paths('UPSTREAM_PUBLIC_PATHS'),
      timeoutSeconds: read.integer('UPSTREAM_TIMEOUT_SECONDS', 30, { min: 1, max: 3600 }),
    };
  for (const name of ['UPSTREAM_JWT', 'UPSTREAM_PUBLIC_PATHS', 'UPSTREAM_TIMEOUT_SECONDS']) read.needs(name, 'UPSTREAM_URL');
  return undefined;
}
