import type { Config } from '../config.ts';
import { type Finding, findingsAbout } from './finding.ts';
import { mayShareSite } from './hosts.ts';

const { ok, warning, error } = findingsAbout('cookies');

/** Whether browsers send our cookies, which are SameSite=Lax, from the origins that may send them, and let these read the answers. */
export function checkCookies(config: Config): Finding[] {
  const { corsOrigins } = config.sessions;
  const own = new URL(config.server.publicUrl);
  const findings = [...corsOrigins.flatMap((origin) => checkOrigin(new URL(origin), own, corsOrigins)), ...checkApplications(config)];
  if (findings.length > 0) return findings;
  if (corsOrigins.length === 0) return [ok(`pages of ${own.origin} alone use cookies (CORS_ORIGINS is empty)`)];
  return [ok(`reach the service from ${corsOrigins.join(', ')}, as far as one can see`)];
}

function checkOrigin({ origin, protocol, hostname }: URL, own: URL, corsOrigins: readonly string[]): Finding[] {
  if (own.protocol === 'https:' && protocol === 'http:') {
    const mend = `CORS_ORIGINS=${corsOrigins.map((each) => (each === origin ? each.replace('http:', 'https:') : each)).join(',')}`;
    return [error(`${origin} is not https: anybody on the way may act for its users, whose cookies do not come along`, mend)];
  }
  if (protocol === own.protocol && mayShareSite(hostname, own.hostname)) return [];
  return [warning(`from ${origin} they are not sent, since ${own.origin} is another site: log in with tokens there, or move one of them`)];
}

/** Applications that people are sent to, and whose pages could not talk to the service. */
function checkApplications({ appUrl, loginUrl, mail: { links }, server, sessions }: Config): Finding[] {
  const addresses = {
    APP_URL: appUrl,
    LOGIN_URL: loginUrl,
    CONFIRM_URL: links.confirmation,
    RESET_URL: links['password-reset'],
    EMAIL_CHANGE_URL: links['email-change'],
  };
  const named = new Map<string, string[]>();
  for (const [name, address] of Object.entries(addresses)) {
    const origin = address === undefined ? undefined : webOrigin(address);
    if (origin !== undefined) named.set(origin, [...(named.get(origin) ?? []), name]);
  }
  const { corsOrigins } = sessions;
  const allowed = [new URL(server.publicUrl).origin, ...corsOrigins];
  const strangers = [...named].filter(([origin]) => !allowed.includes(origin));
  const mend = `CORS_ORIGINS=${[...corsOrigins, ...strangers.map(([origin]) => origin)].join(',')}`;
  return strangers.map(([origin, names]) =>
    warning(`pages of ${origin} (${names.join(', ')}) may not read answers: CORS_ORIGINS does not name it`, mend),
  );
}

/** None for a link that opens an app. */
function webOrigin(address: string): string | undefined {
  const { protocol, origin } = new URL(address.replace('{token}', 'token'));
  return /^https?:$/.test(protocol) ? origin : undefined;
}
