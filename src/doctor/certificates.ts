import { nameOf } from './finding.ts';

/** OpenSSL's words for a certificate of nobody whom Node.js trusts. */
const untrusted =
  /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(?:GET_ISSUER_CERT(?:_LOCALLY)?|VERIFY_LEAF_SIGNATURE))$/;

/** What is wrong with the certificate of a server, when that is what an attempt to connect failed of. */
export function certificateFault(error: unknown): { what: string; isUntrusted: boolean } | undefined {
  const { originalCode } = Object(error) as { originalCode?: string };
  const code = originalCode ?? nameOf(error);
  if (untrusted.test(code)) return { what: `its certificate is not signed by anybody who is trusted (${code})`, isUntrusted: true };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return { what: 'its certificate is for another name than this', isUntrusted: false };
  if (/^CERT_/.test(code)) return { what: `its certificate is not valid (${code})`, isUntrusted: false };
  return undefined;
}
