import { domainToASCII } from 'node:url';

/** An address that mail can be sent to. */
export interface EmailAddress {
  /** As typed, but for the domain, which is in A-labels: what mail is sent to. */
  readonly address: string;
  /** Lower case: what tells one account from another. */
  readonly canonical: string;
}

/** RFC 5321 §4.5.3.1: an address fits into a path of 256 octets with its brackets. */
export const maxEmailLength = 254;
const maxLocalLength = 64;

/** RFC 5322 §3.2.3, dot-atom-text. Quoted local parts and comments are refused: nobody has them, attackers use them. */
const dotAtom = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
/** What a domain may be typed in. Asked first, since the conversion to A-labels strips line breaks and decodes `%2e`. */
const domainText = /^[A-Za-z0-9.\P{ASCII}-]+$/u;
/** RFC 1123 §2.1 host name with at least two labels, the last not a number. */
const domainName = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?!\d+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;

/**
 * Reads an e-mail address; lengths are looked at before anything else is.
 *
 * An internationalised domain is kept as A-labels (RFC 5890), so that one domain has one spelling. Does not check
 * that the domain exists or takes mail: only the confirmation does.
 *
 * @returns undefined when it is not one that the service accepts
 */
export function parseEmail(text: string): EmailAddress | undefined {
  if (text.length > maxEmailLength) return undefined;
  const at = text.lastIndexOf('@');
  const local = text.slice(0, Math.max(at, 0));
  const typedDomain = text.slice(at + 1);
  if (local.length > maxLocalLength || !dotAtom.test(local) || !domainText.test(typedDomain)) return undefined;
  const domain = /^\p{ASCII}+$/u.test(typedDomain) ? typedDomain : domainToASCII(typedDomain);
  if (!domainName.test(domain)) return undefined;
  const address = `${local}@${domain}`;
  return address.length > maxEmailLength ? undefined : { address, canonical: lowerAscii(address) };
}

/** Lower case for A–Z alone; `toLowerCase` would also map letters such as U+212A KELVIN SIGN onto ASCII. */
export function lowerAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
