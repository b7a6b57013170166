import type { IncomingHttpHeaders } from 'node:http';

/** Fields that are about one connection, and not about what is sent over it (RFC 9110 §7.6.1), or that Node has dealt with. */
const ofConnections = new Set([
  'connection',
  'expect',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * Names by which well-known gateways and products tell an application whose a request is, how it came, or what was asked
 * for at first. An application behind one believes them, so that they must not come from a client.
 */
const ofGateways = [
  // Whose it is, in whatever words: but for what a page may tell of its browser.
  /^x-(?:auth|webauth|remote|authenticated|authentik|pomerium|vouch|oidc)(?:-|$)/,
  /^x-user-(?!(?:agent|language|locale|timezone|time-zone)$)/,
  /^x-(?:user|userid|userinfo|username|preferred-username|login|email|role|roles|groups)$/,
  /^remote-(?:user|name|email|groups)$|^oidc-|^tailscale-|^x-token-|^x-(?:access|id)-token$/,
  // The same by Kong, Cloudflare, Google, Amazon, Microsoft and Envoy, which say more than that.
  /^x-(?:consumer|credential)-|^x-anonymous-consumer$|^cf-access-|^x-goog-(?:authenticated-user|iap)-|^x-appengine-/,
  /^x-amzn-(?:oidc|mtls)-|^x-ms-(?:client-principal|token)(?:-|$)|^x-envoy-|^x-arr-/,
  /^x-apigateway-api-|^x-endpoint-api-userinfo$|^x-jwt-(?:assertion|payload)/,
  // And by products that people log in at, or that let them in.
  /^teleport-|^ngrok-auth-|^x-replit-user-|^x-hasura-|^x-authelia|^iv-(?:user|groups|creds)|^sm-|^oam-/,
  // Whose certificate it came with (RFC 9440), and where from.
  /^client-cert(?:-|$)|^x-client-cert|^(?:x-)?(?:(?:ssl|tls)-client-|ssl-cert)/,
  /^(?:x-real-ip|x-client-ip|x-cluster-client-ip|true-client-ip|fastly-client-ip|do-connecting-ip|cf-connecting-.*|cf-pseudo-ipv4)$/,
  /^(?:wl-)?proxy-client-ip$|^x-azure-(?:clientip|socketip)$/,
  // How it came, and what for.
  /^(?:forwarded(?:-for)?|x-forwarded(?:-.*)?|x-host|x-original-.*|x-rewrite-.*|x-request-id|x-scheme|front-end-https)$/,
  /^x-(?:http-method|http-method-override|method-override)$/,
];

/** Some applications read an underscore, or a dot, as a hyphen. */
const plainName = /^[a-z0-9-]+$/;

export interface Told {
  /** Fields that the application is told instead of what the client may say under these names. */
  readonly fields: Readonly<Record<string, string>>;
  /** Names of cookies that are the service's own. */
  readonly ownCookies: readonly string[];
}

/** The header fields with which a request is passed on. */
export function fieldsForUpstream(headers: IncomingHttpHeaders, { fields, ownCookies }: Told): Record<string, string | string[]> {
  const dropped = connectionFields(headers.connection);
  const kept = Object.entries(headers).flatMap(([name, value]) => {
    const isClients = plainName.test(name) && !ofGateways.some((each) => each.test(name));
    return value === undefined || !isClients || name === 'host' || dropped.has(name) ? [] : [[name, value] as const];
  });
  const { cookie, ...others } = Object.fromEntries(kept);
  const foreign = typeof cookie === 'string' ? withoutCookies(cookie, ownCookies) : '';
  // RFC 9110 §7.6.3: whatever passes a message on says so.
  const via = [headers.via, '1.1 latchkey'].filter((each) => each !== undefined).join(', ');
  return { ...others, ...(foreign !== '' && { cookie: foreign }), via, ...fields };
}

/** Fields of the handshake of a WebSocket, of which each connection has its own (RFC 6455 §4.1). */
export function withoutHandshake(fields: Record<string, string | string[]>): Record<string, string | string[]> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !name.startsWith('sec-websocket-')));
}

/** As they come over the wire: any of them may come more than once. */
type ReceivedFields = Readonly<Record<string, string | string[] | undefined>>;

interface AnswerContext {
  readonly ownCookies: readonly string[];
  readonly upstreamOrigin: string;
  readonly publicUrl: string;
  /** Whether the answer is for one user alone. */
  readonly isPrivate: boolean;
}

/** The header fields with which an answer is passed back; those that came more than once are lists. */
export function fieldsForClient(headers: ReceivedFields, context: AnswerContext): IncomingHttpHeaders {
  const { ownCookies, upstreamOrigin, publicUrl, isPrivate } = context;
  const single = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, name === 'set-cookie' ? value : joined(value)]));
  const dropped = connectionFields(joined(headers['connection']));
  const fields: IncomingHttpHeaders = Object.fromEntries(Object.entries(single).filter(([name]) => !dropped.has(name)));
  const { location, 'set-cookie': cookies } = fields;
  // Where the application redirects to the address that only we know it by.
  if (location?.startsWith(`${upstreamOrigin}/`)) fields.location = publicUrl + location.slice(upstreamOrigin.length);
  if (cookies !== undefined) fields['set-cookie'] = [cookies].flat().filter((each) => !ownCookies.includes(cookieName(each)));
  if (isPrivate) fields['cache-control'] = privately(fields['cache-control']);
  return fields;
}

/** RFC 9110 §5.3. */
function joined(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value;
}

/** What is guarded must not be handed out by a cache that does not ask us (RFC 9111 §3.5), whatever the application says. */
function privately(cacheControl = ''): string {
  const directives = cacheControl.split(',').map((each) => each.trim());
  const own = directives.filter((each) => each !== '' && !/^(?:public|private|s-maxage=.*)$/i.test(each));
  return own.some((each) => /^no-store$/i.test(each)) ? own.join(', ') : ['private', ...own].join(', ');
}

function connectionFields(connection = ''): ReadonlySet<string> {
  const listed = connection.toLowerCase().split(',');
  return new Set([...ofConnections, ...listed.map((each) => each.trim())]);
}

function withoutCookies(header: string, names: readonly string[]): string {
  const pairs = header.split(';').map((pair) => pair.trim());
  return pairs.filter((pair) => pair !== '' && !names.includes(cookieName(pair))).join('; ');
}

function cookieName(pair: string): string {
  return pair.split('=', 1)[0]?.trim() ?? '';
}
