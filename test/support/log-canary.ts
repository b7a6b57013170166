/** Part of whatever a test sends only to find out where it comes out again. */
export const canary = 'c4n4ry';

/** What gives a secret away, whosever it is. Routes are logged as they are declared, `/auth/confirm/:token`, never as they were asked for. */
const shapes: Readonly<Record<string, RegExp>> = {
  'a JWT, or a part of one': /eyJ[\w-]{8}/,
  'a token of another kind': /(?<=[^\w-]|\\[bfnrt])(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?=[\w-]*\d)[\w-]{43}/,
  'an e-mail address': /[\w.+-]+@[\w-]+\.[\w.-]+/,
  'the hash of a password': /\$argon2/,
  'the password of a test person': /a password of \d+ own|\dth password of run/,
  'a mailed link': /\/auth\/(?:confirm|disown|password\/reset|email\/confirm)\/(?!:token|resend"|events"|$)/,
  'a cookie': /set-cookie|(?:access|refresh)=/i,
  'a bearer token': /Bearer [\w.~+/-]{8}/i,
  'the credentials of a URL': /:\/\/[^\s"/@]+@/,
  'a private key': /BEGIN [A-Z ]*PRIVATE KEY/,
  'a canary': new RegExp(canary, 'i'),
};

/** Shorter ones could stand there for another reason. */
const shortestSecret = 10;

/** What a log gives away, line by line: empty for one that keeps its secrets. */
export function leaksOf(log: readonly string[], secrets: Iterable<string> = []): string[] {
  const kinds: [string, (line: string) => boolean][] = Object.entries(shapes).map(([what, shape]) => [what, (line) => shape.test(line)]);
  for (const secret of secrets) {
    const quoted = JSON.stringify(secret).slice(1, -1);
    if (secret.length >= shortestSecret) kinds.push([`the secret ${secret}`, (line) => line.includes(quoted)]);
  }
  return log.flatMap((line) => kinds.filter(([, isIn]) => isIn(line)).map(([what]) => `the log holds ${what}: ${line}`));
}

/** The secrets that a service is configured with. */
export function secretsOf({ AUTH_SECRET = '', ...env }: Readonly<Record<string, string>>): string[] {
  const urls = [env['SMTP_URL'], env['DATABASE_URL']].filter((url) => url !== undefined && URL.canParse(url)) as string[];
  return [...AUTH_SECRET.split(','), ...urls.map((url) => decodeURIComponent(new URL(url).password)), env['DKIM_PRIVATE_KEY'] ?? ''];
}
