import t from 'tap';
import { mayHoldOurs } from '../../src/gateway/own-credentials.ts';
import { confirmedPerson } from '../support/person.ts';
import { startGateway } from '../support/upstream.ts';
import { exchangeOne, requestBytes } from '../support/wire.ts';

/** By which gateways say whose a request is, how it came, and what for: each of some gateway, or read by some framework. */
const namesOfGateways = [
  ...['x-auth-user-id', 'x-auth-username', 'x-auth-email', 'x-auth-role', 'x-auth-user', 'x-auth-request-email', 'x-authenticated-user'],
  ...['x-user', 'x-user-id', 'x-user-claims', 'x-userid', 'x-userinfo', 'x-username', 'x-preferred-username', 'x-login', 'x-email'],
  ...['x-role', 'x-roles', 'x-groups', 'x-id-token', 'x-access-token', 'x-token-claims', 'x-token-subject', 'x-oidc-claim-sub'],
  ...['x-forwarded-user', 'x-forwarded-email', 'x-forwarded-access-token', 'x-remote-user', 'remote-user', 'x-webauth-user'],
  ...['x-authentik-username', 'x-authentik-groups', 'x-pomerium-jwt-assertion', 'x-pomerium-claim-email', 'x-vouch-user', 'oidc-claim-sub'],
  ...[
    'x-consumer-id',
    'x-consumer-custom-id',
    'x-consumer-username',
    'x-consumer-groups',
    'x-credential-identifier',
    'x-credential-username',
  ],
  ...['x-anonymous-consumer', 'x-authenticated-userid', 'x-authenticated-scope', 'tailscale-user-login', 'tailscale-user-name'],
  ...['cf-access-jwt-assertion', 'cf-access-authenticated-user-email', 'x-goog-authenticated-user-email', 'x-goog-authenticated-user-id'],
  ...['x-goog-iap-jwt-assertion', 'x-appengine-user-email', 'x-appengine-user-is-admin', 'x-appengine-user-ip', 'x-amzn-oidc-data'],
  ...[
    'x-amzn-oidc-identity',
    'x-amzn-oidc-accesstoken',
    'x-amzn-mtls-clientcert-subject',
    'x-ms-client-principal',
    'x-ms-client-principal-id',
  ],
  ...[
    'x-ms-client-principal-name',
    'x-ms-token-aad-id-token',
    'x-forwarded-client-cert',
    'client-cert',
    'client-cert-chain',
    'x-client-cert',
  ],
  ...['x-client-certificate', 'ssl-client-subject-dn', 'ssl-client-verify', 'ssl-client-cert', 'x-ssl-client-s-dn', 'x-tls-client-cert'],
  ...['forwarded', 'forwarded-for', 'x-forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'x-client-ip'],
  ...['x-cluster-client-ip', 'true-client-ip', 'cf-connecting-ip', 'cf-connecting-ipv6', 'cf-pseudo-ipv4', 'fastly-client-ip'],
  ...['do-connecting-ip', 'x-envoy-external-address', 'x-envoy-internal', 'x-envoy-original-path', 'x-host', 'x-request-id'],
  ...['x-original-url', 'x-original-uri', 'x-rewrite-url', 'x-http-method', 'x-http-method-override', 'x-method-override'],
  ...['x-arr-clientcert', 'x-arr-ssl', 'x-apigateway-api-userinfo', 'x-endpoint-api-userinfo', 'x-jwt-assertion', 'x-jwt-payload'],
  ...['teleport-jwt-assertion', 'ngrok-auth-user-email', 'x-replit-user-id', 'x-replit-user-name', 'iv-user', 'iv-groups', 'iv-creds'],
  ...['sm-user', 'sm-universalid', 'oam-remote-user', 'x-hasura-role', 'x-hasura-user-id', 'x-hasura-admin-secret', 'x-authelia-user'],
  ...['proxy-client-ip', 'wl-proxy-client-ip', 'x-azure-clientip', 'x-azure-socketip', 'x-scheme', 'front-end-https'],
  ...['ssl-cert', 'ssl-cert-subject', 'x-ssl-cert'],
];
/** A request may not have many more fields. */
const namesAtOnce = 80;
/** What browsers, and the libraries of pages, send to an application. */
const namesOfApplications = [
  ...['x-requested-with', 'x-csrf-token', 'x-xsrf-token', 'x-csrftoken', 'x-api-key', 'x-token', 'x-inertia', 'hx-request', 'turbo-frame'],
  ...[
    'traceparent',
    'x-user-agent',
    'x-user-language',
    'x-user-locale',
    'x-user-timezone',
    'x-timezone',
    'x-grpc-web',
    'x-goog-channel-id',
  ],
  ...['x-ms-version', 'x-amz-date', 'x-hub-signature-256', 'x-github-event', 'stripe-signature', 'idempotency-key', 'last-event-id'],
  ...['if-none-match', 'range', 'accept-language', 'sec-fetch-site', 'upload-offset', 'tus-resumable', 'x-client-version', 'cf-ray'],
];

t.test('W02: nobody but the service tells the application who asks', async (t) => {
  const { service, base, upstream } = await startGateway(t, { UPSTREAM_PUBLIC_PATHS: '/open' });
  const { token, id } = await confirmedPerson(service);
  const spellings = [
    (name: string) => name,
    (name: string) => name.toUpperCase(),
    (name: string) => name.replaceAll('-', '_'),
    (name: string) => name.replace('-', '_'),
    (name: string) => name.replaceAll('-', '.'),
  ];
  for (const [path, authorization] of [
    ['/open', ''],
    ['/open', `Bearer ${token}`],
    ['/closed', `Bearer ${token}`],
  ] as const) {
    for (const spell of spellings) {
      for (let start = 0; start < namesOfGateways.length; start += namesAtOnce) {
        const names = namesOfGateways.slice(start, start + namesAtOnce);
        const forged = Object.fromEntries(names.map((name) => [spell(name), `canary-${name}`]));
        const { status } = await exchangeOne(base, requestBytes('GET', path, { authorization, ...forged }));
        t.equal(status, 200);
        const told = JSON.stringify(upstream.passed.at(-1));
        t.same(names.filter((name) => told.includes(`canary-${name}"`)).map(spell), [], `at ${path}`);
      }
    }
    const fields = Object.fromEntries(namesOfApplications.map((name) => [name, `of ${name}`]));
    await exchangeOne(base, requestBytes('GET', path, { authorization, ...fields }));
    t.match(upstream.passed.at(-1)?.headers, fields, 'what it hears from browsers, it hears');
  }
  t.test('and what it tells cannot be taken away', async (t) => {
    for (const connection of ['close, x-auth-user-id', 'X-Auth-User-Id, X-Auth-Role, via, cookie, close']) {
      await exchangeOne(base, requestBytes('GET', '/closed', { authorization: `Bearer ${token}`, connection }));
      t.equal(upstream.passed.at(-1)?.headers['x-auth-user-id'], id);
    }
  });
});

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** The same signature, in another spelling. */
function respelt(token: string): string {
  return token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1) ?? '') + 1];
}

/** A part of a token of somebody else's. */
function foreign(index: number): string {
  return Buffer.from(JSON.stringify({ alg: 'ES256', kid: `another key ${index}` })).toString('base64url');
}

t.test('an access token of ours is found wherever it stands, and however many there are, few are verified', async (t) => {
  const { service, base, upstream } = await startGateway(t, { UPSTREAM_PUBLIC_PATHS: '/open' });
  const { token } = await confirmedPerson(service);
  const { accessTokens } = service.app.services;
  let verified = 0;
  accessTokens.verify = ((verify) => (text) => {
    verified += 1;
    return verify(text);
  })(accessTokens.verify);
  const [header = '', , signature = ''] = token.split('.');
  for (const scheme of ['Bearer ', 'Token ', 'Digest a=']) {
    verified = 0;
    const authorization = scheme + Array.from({ length: 40 }, (_, index) => `${header}.e3${index}.${signature}`).join(', ');
    t.equal((await exchangeOne(base, requestBytes('GET', '/open', { authorization }))).status, 200);
    t.ok(verified <= 2, `${scheme}: ${verified}`);
    t.equal(upstream.passed.at(-1)?.headers.authorization, undefined, 'what nobody has looked at is not passed on');
  }
  for (const authorization of [
    `Bearer ${'eyJ'.repeat(5000)}`,
    `Basic ${Buffer.from('eyJ'.repeat(3900)).toString('base64')}`,
    `Basic ${'A='.repeat(7000)}`,
  ]) {
    const bytes = requestBytes('GET', '/open', { authorization });
    t.equal((await exchangeOne(base, bytes)).status, 200);
    t.equal(upstream.passed.at(-1)?.headers.authorization, undefined);
    let parts = 0;
    const isByOurKey = (isOurs: boolean) => () => {
      parts += 1;
      return isOurs;
    };
    t.equal(mayHoldOurs(authorization, { isByOurKey: isByOurKey(false) }), true);
    t.ok(parts <= 16, `no more than a few parts are looked at: ${parts}`);
    parts = 0;
    t.equal(mayHoldOurs(authorization, { isByOurKey: isByOurKey(true) }), true);
    t.ok(parts <= 1, `and none behind one of ours: ${parts}`);
  }
  const basic = (credentials: string) => Buffer.from(credentials).toString('base64');
  for (const authorization of [
    ...[`Digest uri="/a", response=${token}`, `Bearer (${token})`, `x.y.z, p.q.r, ${token}`],
    ...[`Bearer ${token}.`, `Bearer .${token}`, `Bearer -${token}-`, `Token _${token}.-`],
    // The last letter of a signature has bits to spare, which many decoders do not look at.
    ...[
      `Bearer ${respelt(token)}`,
      `Bearer ${token.replaceAll('.', '%2E')}`,
      `Basic =${basic(`x:${token}`)}`,
      `Basic YQ==${basic(`:${token}`)}`,
      `Bearer eyJ_${token}`,
      `Basic ${basic(`x:${token}`).replace('e', '-e')}`,
    ],
    `Bearer ${Array.from({ length: 17 }, (_, index) => foreign(index)).join(' ')}`,
    ...[`Basic ${basic(`x:${token}`)}`, `basic  ${basic(`${token}:`)}`, `BASIC ${basic(`x:${token}.`)}`],
  ]) {
    await exchangeOne(base, requestBytes('GET', '/open', { authorization }));
    t.equal(upstream.passed.at(-1)?.headers.authorization, undefined, authorization.replace(token, '…'));
  }
  for (const authorization of [
    'Bearer a.b.c',
    `Bearer ${foreign(1)}.${foreign(2)}.x, ${foreign(3)}.${foreign(4)}.x`,
    `Basic ${basic('a:b.c.d')}`,
    `Digest username="a", realm="a.example.com", uri="/a.b/c.d", response="6629fae4"`,
  ]) {
    await exchangeOne(base, requestBytes('GET', '/open', { authorization }));
    t.equal(upstream.passed.at(-1)?.headers.authorization, authorization, 'the application’s own is');
  }
});
