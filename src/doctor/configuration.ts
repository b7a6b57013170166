import type { Config, ConfigError } from '../config.ts';
import { type Finding, findingsAbout } from './finding.ts';
import { isLocalServer, isMisspelt } from './hosts.ts';

const { ok, warning, error } = findingsAbout('configuration');

/** Assignments that are right in form; for any other variable, its default is. */
const examples: Readonly<Record<string, string>> = {
  PUBLIC_URL: 'https://accounts.example.com',
  DATABASE_URL: 'postgres://USER:PASSWORD@HOST:5432/NAME',
  SMTP_URL: 'smtps://USER:PASSWORD@HOST',
  REDIS_URL: 'rediss://USER:PASSWORD@HOST:6379',
  MAIL_FROM: "'Accounts <no-reply@example.com>'",
  AUTH_SECRET: '"$(openssl rand -base64 48)"',
  DKIM_PRIVATE_KEY: '"$(cat dkim.pem)"',
  CONFIRM_URL: "'https://app.example.com/confirm#{token}'",
  RESET_URL: "'https://app.example.com/reset#{token}'",
  EMAIL_CHANGE_URL: "'https://app.example.com/email#{token}'",
  APP_URL: 'https://app.example.com/',
  LOGIN_URL: 'https://app.example.com/login',
  CORS_ORIGINS: 'https://app.example.com',
  TRUSTED_PROXIES: '127.0.0.1',
  UPSTREAM_URL: 'http://127.0.0.1:8080',
  UPSTREAM_PUBLIC_PATHS: '/static,/webhooks',
  PASSWORD_RANGE_URL: 'https://api.pwnedpasswords.com/range',
};

/** Each fault by itself, with a line that would be right. */
export function tellFaults({ faults }: ConfigError): Finding[] {
  return faults.map((fault) => {
    const [name = ''] = fault.split(' ');
    if (name === 'DKIM_*') return error(fault, 'unset DKIM_DOMAIN DKIM_SELECTOR DKIM_PRIVATE_KEY');
    const example = fault.includes('means nothing without') ? undefined : examples[name];
    return error(fault, example === undefined ? `unset ${name}` : `${name}=${example}`);
  });
}

export function checkConfiguration(config: Config): Finding[] {
  const { production, rateLimit, databaseUrl, redisUrl, server, mail } = config;
  const findings: Finding[] = [
    production ? ok('complete, for production') : warning('NODE_ENV is not production: this is for development', 'NODE_ENV=production'),
  ];
  if (production && !rateLimit) findings.push(warning('nothing is limited, passwords can be guessed without end', 'RATE_LIMIT=on'));
  if (production && ['trace', 'debug'].includes(server.logLevel)) {
    findings.push(warning(`LOG_LEVEL=${server.logLevel} is for looking for a fault, and fills the log`, 'LOG_LEVEL=info'));
  }
  for (const [name, url] of Object.entries({ DATABASE_URL: databaseUrl, SMTP_URL: mail.smtpUrl, REDIS_URL: redisUrl })) {
    if (url === undefined || !isMisspelt(url)) continue;
    const mend = `${name}=${examples[name]}`;
    findings.push(error(`${name} is misread: in user and password, % / ? # and @ are written %25 %2F %3F %23 and %40`, mend));
  }
  if (mail.smtpUrl !== undefined && allowsPlainText(mail.smtpUrl)) {
    const mend = 'SMTP_URL="$(echo "$SMTP_URL" | sed s/requireTLS=false/requireTLS=true/)"';
    findings.push(warning('mails, and the links in them, may be read and changed on the way (requireTLS=false)', mend));
  }
  return findings;
}

function allowsPlainText(smtpUrl: string): boolean {
  const { protocol, searchParams } = new URL(smtpUrl);
  return protocol === 'smtp:' && searchParams.get('requireTLS') === 'false' && !isLocalServer(smtpUrl);
}
