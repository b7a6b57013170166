import { Redis } from 'ioredis';
import type { Config } from '../config.ts';
import { certificateFault } from './certificates.ts';
import { type Finding, findingsAbout, nameOf } from './finding.ts';
import { isLocalServer, isMisspelt } from './hosts.ts';

const { ok, warning } = findingsAbout('limits');

/**
 * What counting does to a key. It is made when it is known that it can be ended; and a full server refuses the first command that
 * would write, or none.
 */
const script = `
  redis.call('SET', KEYS[1], 0, 'XX', 'KEEPTTL')
  redis.call('PTTL', KEYS[1])
  redis.call('PEXPIRE', KEYS[1], 0)
  redis.call('INCRBY', KEYS[1], 0)
  redis.call('PEXPIRE', KEYS[1], 0)
`;

/**
 * Whether requests can be counted in Redis, where that is asked for. Counts none: the key that it tries this with is gone before
 * anybody can see it. Without it the service still works, and limits more strictly.
 */
export async function checkLimits({ redisUrl: url }: Config): Promise<Finding[]> {
  if (url === undefined || isMisspelt(url)) return [];
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 3000,
    commandTimeout: 3000,
    // Of a user without INFO, it would write lines of its own.
    enableReadyCheck: false,
    retryStrategy: () => null,
  });
  // Of what has ended a connection, a command only says that it was ended; and without its database it would go on in another.
  let reason: unknown;
  redis.on('error', (cause) => {
    reason = cause;
  });
  try {
    await redis.connect();
    await redis.eval(script, 1, 'latchkey:limit:doctor');
    return [reason === undefined ? tellConnection(url) : tellFailure(reason)];
  } catch (cause) {
    return [tellFailure(reason ?? cause)];
  } finally {
    redis.disconnect();
  }
}

function tellConnection(url: string): Finding {
  if (url.startsWith('rediss:')) return ok('Redis answers over TLS, and its certificate is right');
  if (isLocalServer(url)) return ok('Redis answers, without TLS: it is on this machine');
  return warning('Redis answers without TLS: its password can be read on the way', 'REDIS_URL="rediss:${REDIS_URL#redis:}"');
}

const otherServer = 'REDIS_URL=rediss://USER:PASSWORD@HOST:6379';

/** What Redis says instead of counting; of a command in a script, versions before 7 have the code further behind. */
const refusals: readonly (readonly [reply: RegExp, what: string, mend: string])[] = [
  [/^NOAUTH /, 'Redis refuses user and password (NOAUTH)', otherServer],
  [/^WRONGPASS /, 'Redis refuses user and password (WRONGPASS)', otherServer],
  [
    /\bNOPERM |The user executing the script can't /,
    'the user of REDIS_URL may not use all keys and commands that count',
    'ACL SETUSER USER ~latchkey:limit:* +@connection +@scripting +info +incrby +pttl +pexpire +set',
  ],
  [/\bREADONLY /, 'this Redis is a replica, which takes no writes', 'REDIS_URL=rediss://USER:PASSWORD@PRIMARY:6379'],
  [/\bOOM /, 'Redis is full: it has reached its maxmemory', 'CONFIG SET maxmemory SIZE'],
  [/^ERR DB index /, 'there is no such database in Redis', otherServer],
];

function tellFailure(cause: unknown): Finding {
  const fault = certificateFault(cause);
  if (fault) return warning(`Redis is not trusted: ${fault.what}`, fault.isUntrusted ? 'NODE_EXTRA_CA_CERTS=/PATH/ca.pem' : otherServer);
  const { message } = cause as Error;
  const [, what, mend] = refusals.find(([said]) => said.test(message)) ?? [];
  if (what !== undefined) return warning(what, mend);
  const [, reply] = /^([A-Z]+) /.exec(message) ?? [];
  return warning(`Redis cannot be reached: ${reply ?? nameOf(cause)}`, otherServer);
}
