import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { cert, key } from '../support/certificate.ts';
import { createFaultyMailServer } from '../support/faulty-mail-server.ts';
import { startProcess } from '../support/process.ts';

/** Sends a mail to each URL by a process of its own, which trusts other certificates only from its start on. */
const script = `
  import { classifyFailure } from './src/mail/failure.ts';
  import { createSmtpTransport } from './src/mail/smtp-transport.ts';
  for (const url of process.env.URLS.split(' ')) {
    const transport = createSmtpTransport({ url, from: { name: '', address: 'no-reply@example.com' }, dkim: undefined });
    const message = { id: 'x', to: 'ada@example.com', subject: '', text: '', html: '' };
    const probed = await transport.probe().then(() => 'works', classifyFailure);
    const sent = await transport.send(message, AbortSignal.timeout(9000)).then(() => 'sent', classifyFailure);
    console.log(probed, sent);
    transport.close();
  }
`;

t.test('a mail goes', async (t) => {
  const [starttls, smtps, bare] = await Promise.all([createFaultyMailServer(t), createFaultyMailServer(t), createFaultyMailServer(t)]);
  await Promise.all([starttls.start({ cert, key }), smtps.start({ cert, key, secure: true }), bare.start()]);
  const port = ({ host }: { host: string }) => host.split(':')[1];
  const servers = [starttls, smtps, bare];
  const trust = await writeTrust(t);

  /** How the probe and the mail ended, by URL, and how many mails were taken. */
  async function outcomes(t: Test, urls: readonly string[], env: Record<string, string> = {}) {
    const before = servers.reduce((sum, { taken }) => sum + taken.length, 0);
    const sender = startProcess(t, { script }, { URLS: urls.join(' '), ...env });
    const { code } = await sender.ended();
    t.equal(code, 0, sender.output.stderr);
    const taken = servers.reduce((sum, { taken }) => sum + taken.length, 0) - before;
    return { lines: sender.output.stdout.trim().split('\n'), taken };
  }

  t.test('over TLS to a server whose certificate is trusted and names it', async (t) => {
    const urls = [
      `smtps://localhost:${port(smtps)}`,
      `smtp://localhost:${port(starttls)}`,
      `smtp://localhost:${port(starttls)}?requireTLS=true`,
    ];
    t.strictSame(await outcomes(t, urls, trust), { lines: ['works sent', 'works sent', 'works sent'], taken: 3 });
  });

  t.test('to no server whose certificate is not trusted, and that is for the operator to mend', async (t) => {
    const urls = [`smtps://localhost:${port(smtps)}`, `smtp://localhost:${port(starttls)}`];
    t.strictSame(await outcomes(t, urls), { lines: ['setup setup', 'setup setup'], taken: 0 });
  });

  t.test('to no server that has the certificate of another', async (t) => {
    const urls = [`smtps://127.0.0.1:${port(smtps)}`, `smtp://127.0.0.1:${port(starttls)}`];
    t.strictSame(await outcomes(t, urls, trust), { lines: ['setup setup', 'setup setup'], taken: 0 });
  });

  t.test('to no server that speaks no TLS where it is demanded', async (t) => {
    // 0.0.0.0 leads to this machine, but is not the name of a loopback interface.
    const urls = [`smtp://127.0.0.1:${port(bare)}?requireTLS=true`, `smtp://0.0.0.0:${port(bare)}`, `smtps://localhost:${port(bare)}`];
    t.strictSame(await outcomes(t, urls), { lines: ['setup setup', 'setup setup', 'setup setup'], taken: 0 });
  });

  t.test('without TLS where that is allowed: to this machine, or when it is said so', async (t) => {
    const urls = [`smtp://127.0.0.1:${port(bare)}`, `smtp://localhost:${port(bare)}`, `smtp://0.0.0.0:${port(bare)}?requireTLS=false`];
    t.strictSame(await outcomes(t, urls), { lines: ['works sent', 'works sent', 'works sent'], taken: 3 });
  });
});

async function writeTrust(t: Test): Promise<{ NODE_EXTRA_CA_CERTS: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-test-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const file = join(directory, 'trusted.pem');
  await writeFile(file, cert);
  return { NODE_EXTRA_CA_CERTS: file };
}
