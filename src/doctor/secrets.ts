import type { Config } from '../config.ts';
import { isWeakPassword } from '../credentials/password-policy.ts';
import { type Finding, findingsAbout } from './finding.ts';
import { isLocalServer, isMisspelt } from './hosts.ts';

const { ok, warning } = findingsAbout('secrets');

/** NIST SP 800-57 part 1, table 2: what no computer gets through. */
const enoughBits = 128;
const mostSecrets = 3;

/** What secrets are written in, from the narrowest, and how many characters it has. */
const alphabets: readonly (readonly [RegExp, number])[] = [
  [/^\d*$/, 10],
  [/^[\da-f]*$/i, 16],
  [/^[a-z]*$|^[A-Z]*$/, 26],
  [/^[\da-z]*$|^[\dA-Z]*$/, 36],
  [/^[\w+/=-]*$/, 64],
];

/** Of the configured secrets and passwords; that AUTH_SECRET is not guessable is seen to when the configuration is loaded. */
export function checkSecrets({ authSecrets, databaseUrl, redisUrl, mail }: Config): Finding[] {
  const passwords = { DATABASE_URL: databaseUrl, SMTP_URL: mail.smtpUrl, REDIS_URL: redisUrl };
  return [...checkAuthSecrets(authSecrets), ...Object.entries(passwords).flatMap(([name, url]) => checkPassword(name, url))];
}

function checkAuthSecrets(secrets: readonly string[]): Finding[] {
  if (secrets.length === 0) return [ok('AUTH_SECRET is not set: one is generated, and kept in DATA_DIR')];
  const findings = secrets.map((secret, index) => {
    const name = secrets.length === 1 ? 'AUTH_SECRET' : `AUTH_SECRET, number ${index + 1}:`;
    const bits = mostBits(secret);
    if (bits >= enoughBits) return ok(`${name} has ${Buffer.byteLength(secret)} bytes: ${bits} bits, if it is random`);
    return warning(
      `${name} has ${bits} bits at most, where ${enoughBits} are needed`,
      'AUTH_SECRET="$(openssl rand -base64 48),$AUTH_SECRET"',
    );
  });
  if (new Set(secrets).size < secrets.length) findings.push(warning('AUTH_SECRET names one secret twice'));
  if (secrets.length <= mostSecrets) return findings;
  const mend = `AUTH_SECRET="$(printf %s "$AUTH_SECRET" | cut -d, -f1-${mostSecrets})"`;
  return [...findings, warning(`AUTH_SECRET has ${secrets.length} secrets, and each of them verifies: drop the old ones`, mend)];
}

/** As many as there are when every character was drawn by itself; nobody can see from a text whether it was. */
function mostBits(secret: string): number {
  const [, size] = alphabets.find(([alphabet]) => alphabet.test(secret)) ?? [undefined, 95];
  return Math.floor(secret.length * Math.log2(size));
}

/** A password that strangers could try: not of a server that is on this machine. */
function checkPassword(name: string, url: string | undefined): Finding[] {
  if (url === undefined || isLocalServer(url) || isMisspelt(url)) return [];
  const { username, password, searchParams } = new URL(url);
  if (password === '') {
    // A mail server may take mails from its own network without a user; a certificate is as good as a password.
    const needsNone = (name === 'SMTP_URL' && username === '') || searchParams.has('sslcert');
    return needsNone ? [] : [warning(`${name} has no password: whoever reaches that server may be let in`)];
  }
  const words = [username, 'latchkey'].map(decodeURIComponent);
  if (!isWeakPassword(decodeURIComponent(password), { words, minLength: 8 })) return [];
  return [warning(`the password in ${name} is one that is tried first: give that server another`, 'openssl rand -hex 24')];
}
