/** JSON's own escapes: passed over, so that what follows one is not taken for a part of it, and none is torn apart. */
const escaped = String.raw`\\(?:u[\da-f]{4}|.)`;
/** Where a word begins: `n` is no part of the word after a line break. */
const wordStart = String.raw`(?<=[^\w-]|\\[bfnrt]|\\u[\da-f]{4})`;

/** What no line may hold, whoever has put it into a message: mail servers name recipients, libraries quote addresses of requests. */
const secrets = [
  String.raw`(?<=:\/\/)[^\s"\\/@]+@`, // the credentials of a URL
  String.raw`[^\s"\\/'<>()[\]:;,@]{1,64}@[^\s"\\/'<>()[\]:;,@]+`, // an e-mail address
  String.raw`eyJ[\w-]{5,}[\w.-]*`, // a JWT, or the beginning of one
  String.raw`${wordStart}(?=[\w-]*[A-Z])(?=[\w-]*\d)[\w-]{43,}`, // any other token, or a part of one: 32 bytes and more in base64url
  String.raw`\$argon2[^\s"\\]*`, // the hash of a password
];

/** What JSON does not escape, but terminals and readers of lines obey: C1 controls, and the line separators of Unicode. */
const control = '[\\u007f-\\u009f\\u2028\\u2029]';

const pattern = new RegExp([escaped, ...secrets, control].join('|'), 'g');

/** Sooner told than where it stands: most lines hold nothing of the kind, and one is written for each request. */
const marks = ['@', 'eyJ', '$argon2'];
const suspect = new RegExp(`(?<![\\w-])[\\w-]{43}|${control}`);

/**
 * Takes out of a line of JSON what looks like an address, a token, a hash or a password, wherever it stands, and escapes
 * control characters. It stays JSON.
 */
export function redact(line: string): string {
  if (!marks.some((mark) => line.includes(mark)) && !suspect.test(line)) return line;
  return line.replace(pattern, (found) => {
    if (found.startsWith('\\')) return found;
    return found.length === 1 ? `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}` : '[redacted]';
  });
}
