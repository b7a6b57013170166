import { createHash } from 'node:crypto';

/** Knows passwords that were found in leaks: in lists of many millions, which are asked and not kept. */
export interface LeakedPasswords {
  /** Tells whether a password is among them. Answers no when the lists cannot be asked in time: nobody is kept out because of that. */
  has(password: string): Promise<boolean>;
}

/** For a service that asks nobody. */
export const noLeakedPasswords: LeakedPasswords = { has: async () => false };

interface LeakedPasswordsOptions {
  /** The address that a prefix is appended to. */
  readonly url: string;
  /** Told what went wrong. */
  readonly complain: (error: unknown) => void;
}

const patienceMs = 1000;
const prefixLength = 5;
/** A prefix has some 2,000 entries of 40 bytes at the most. */
const maxAnswerLength = 1_000_000;

/**
 * Asks a range service as haveibeenpwned.com offers it: it is told the first five of the forty hexadecimal digits of
 * the password's SHA-1, which a million others share, and answers the rest of all that it knows with these
 * (k-anonymity). Padding makes all answers about as long, so that whoever sees them pass learns nothing, either.
 */
export function createLeakedPasswords({ url, complain }: LeakedPasswordsOptions): LeakedPasswords {
  const base = url.replace(/\/*$/, '/');

  async function rangeOf(prefix: string): Promise<string> {
    const answer = await fetch(`${base}${prefix}`, {
      headers: { 'add-padding': 'true' },
      redirect: 'error',
      signal: AbortSignal.timeout(patienceMs),
    });
    const text = answer.ok ? await readText(answer) : undefined;
    if (!answer.ok) await answer.body?.cancel();
    if (text === undefined) throw new Error(`the list of leaked passwords answered ${answer.status}`);
    return text;
  }

  return {
    async has(password) {
      const digest = createHash('sha1').update(password.normalize('NFC')).digest('hex').toUpperCase();
      const rest = digest.slice(prefixLength);
      try {
        const range = await rangeOf(digest.slice(0, prefixLength));
        // Padding is of entries that were found in no leak.
        return range.split('\n').some((line) => line.toUpperCase().startsWith(`${rest}:`) && !/^:0+\s*$/.test(line.slice(rest.length)));
      } catch (error) {
        complain(error);
        return false;
      }
    },
  };
}

/** The text of an answer, but no more of it than there can be. */
async function readText(answer: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > maxAnswerLength) throw new Error('the list of leaked passwords answered too much');
  }
  return text;
}
