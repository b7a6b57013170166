import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Finding } from '../../src/doctor/finding.ts';
import { cert, key } from '../support/certificate.ts';
import { examine, faultsIn, finds, mended } from '../support/doctor.ts';
import { createFaultyMailServer, type FaultyMailServer } from '../support/faulty-mail-server.ts';
import { startProcess } from '../support/process.ts';

const look = (t: Test, url: string, more: Readonly<Record<string, string>> = {}) => examine(t, { SMTP_URL: url, ...more }, 'mail');
const faults = async (...args: Parameters<typeof look>) => faultsIn(await look(...args));
const whats = (findings: readonly Finding[]) => findings.map(({ what }) => what).join('\n');
const portOf = ({ host }: FaultyMailServer) => host.split(':')[1];

t.test('without SMTP_URL there is no server to ask', async (t) => {
  finds(t, await look(t, ''), [{ level: 'ok', what: /\/dev\/mail/ }]);
});

t.test('a mail server on this machine', async (t) => {
  const server = await createFaultyMailServer(t);
  await server.start();
  const withUser = server.url.replace('//', '//c4n4ry:c4n4ry@');

  t.test('that takes mails, of which it gets none', async (t) => {
    finds(t, await look(t, server.url), [
      { level: 'ok', what: /without TLS: it is on this machine/ },
      { level: 'ok', what: /without a login/ },
    ]);
    finds(t, await look(t, withUser), [{ level: 'ok' }, { level: 'ok', what: 'the login is right' }]);
    t.strictSame(server.taken, []);
  });

  t.test('that is reached over a network, as far as its name tells', async (t) => {
    const far = server.url.replace('127.0.0.1', '0.0.0.0');
    finds(t, await faults(t, `${far}?requireTLS=false`), [{ level: 'warning', what: /without TLS/ }]);
    finds(t, await faults(t, far), [{ level: 'error', what: /no STARTTLS/, mend: /^SMTP_URL=smtps:/ }]);
  });

  t.test('that demands TLS, or is asked for it, and has none', async (t) => {
    const SMTP_URL = `${server.url}?requireTLS=true`;
    const found = await faults(t, SMTP_URL);
    finds(t, found, [{ level: 'error', what: /no STARTTLS/, mend: /^SMTP_URL=/ }]);
    t.strictSame(mended(found, { SMTP_URL }), { SMTP_URL: `${server.url}?requireTLS=false` });
    finds(t, await faults(t, server.url.replace('smtp:', 'smtps:')), [{ level: 'error', what: /speaks no TLS on this port/ }]);
  });

  t.test('that refuses the credentials, for now or for good, of which nothing is told', async (t) => {
    server.fail({ credentials: 535 });
    finds(t, await faults(t, withUser), [{ level: 'error', what: /refuses user and password \(535\)/, mend: /^SMTP_URL=/ }]);
    t.notMatch(JSON.stringify(await look(t, withUser)), /c4n4ry/);
    server.fail({ credentials: 454 });
    finds(t, await faults(t, withUser), [{ level: 'error', what: /for now \(454\)/ }]);
    server.fail({});
  });

  t.test('that has no login where one is configured', async (t) => {
    await server.start({ disabledCommands: ['STARTTLS', 'AUTH'] });
    finds(t, await faults(t, withUser), [{ level: 'warning', what: /user and password of SMTP_URL are not used/ }]);
  });

  t.test('that says nothing, or is not there', async (t) => {
    await server.startSilent();
    finds(t, await faults(t, server.url), [{ level: 'error', what: /cannot be reached: ETIMEDOUT/ }]);
    await server.stop();
    finds(t, await faults(t, server.url), [{ level: 'error', what: /cannot be reached: ECONNREFUSED/ }]);
  });
});

t.test('a mail server with a certificate', async (t) => {
  const [starttls, smtps] = await Promise.all([createFaultyMailServer(t), createFaultyMailServer(t)]);
  await Promise.all([starttls.start({ cert, key }), smtps.start({ cert, key, secure: true })]);

  t.test('that nobody here trusts', async (t) => {
    for (const url of [`smtp://localhost:${portOf(starttls)}`, `smtps://localhost:${portOf(smtps)}`]) {
      finds(t, await faults(t, url), [{ level: 'error', what: /DEPTH_ZERO_SELF_SIGNED_CERT/, mend: 'NODE_EXTRA_CA_CERTS=/PATH/ca.pem' }]);
    }
  });

  // Node.js learns whom to trust when it starts.
  const inProcess = async (t: Test, SMTP_URL: string) => {
    const NODE_EXTRA_CA_CERTS = join(t.testdir({ 'ca.pem': cert }), 'ca.pem');
    const script = `import { runCli } from './src/cli/run.ts'; process.exitCode = await runCli(['doctor', '--json']);`;
    const child = startProcess(t, { script }, { SMTP_URL, NODE_EXTRA_CA_CERTS });
    const { code } = await child.ended();
    const findings = (JSON.parse(child.output.stdout) as Finding[]).filter(({ subject }) => subject === 'mail');
    return { code, findings };
  };

  t.test('that is trusted', async (t) => {
    const { code, findings } = await inProcess(t, `smtp://localhost:${portOf(starttls)}`);
    t.equal(code, 0);
    t.match(whats(findings), /over TLSv1\.3, and its certificate is right/);
    t.strictSame(faultsIn(findings), []);
  });

  t.test('that is trusted, but is for another name', async (t) => {
    const { code, findings } = await inProcess(t, `smtps://127.0.0.1:${portOf(smtps)}`);
    t.equal(code, 1);
    finds(t, findings, [{ level: 'error', what: /for another name/ }]);
  });
});

t.test('mails that are signed in the name of somebody else', async (t) => {
  const { privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const server = await createFaultyMailServer(t);
  await server.start();
  const signed = (DKIM_DOMAIN: string, MAIL_FROM: string) =>
    faults(t, server.url, { DKIM_DOMAIN, MAIL_FROM, DKIM_SELECTOR: 'mail', DKIM_PRIVATE_KEY: privateKey });
  finds(t, await signed('example.net', 'no-reply@example.com'), [{ level: 'warning', what: /DMARC/, mend: 'DKIM_DOMAIN=example.com' }]);
  for (const domain of ['example.com', 'mail.example.com']) t.strictSame(await signed(domain, 'Accounts <no-reply@example.com>'), []);
  t.strictSame(await signed('example.com', 'no-reply@accounts.example.com'), []);
});
