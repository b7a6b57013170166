import { once } from 'node:events';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { createDatabase, onServer } from '../support/database.ts';
import { createFaultyMailServer } from '../support/faulty-mail-server.ts';
import { mailRow } from '../support/outbox.ts';
import { newDetails } from '../support/person.ts';
import { startProcess } from '../support/process.ts';
import { openTables } from '../support/tables.ts';

const file = fileURLToPath(new URL('../../src/server.ts', import.meta.url));

t.test(
  'Z24: an instance whose client and whose mail server both never come to an end',
  { skip: !onServer && 'needs a PostgreSQL server' },
  async (t) => {
    const [database, mailServer] = await Promise.all([createDatabase(t), createFaultyMailServer(t)]);
    await mailServer.start();
    mailServer.fail({ hold: new Promise(() => {}) });
    const env = {
      ...database,
      SMTP_URL: mailServer.url,
      PORT: '0',
      SHUTDOWN_DELAY_SECONDS: '0',
      ARGON2_MEMORY_KIB: '8',
      ARGON2_PASSES: '1',
    };
    const tables = openTables(t, { env });
    const instance = startProcess(t, { file }, env);
    const [, port] = await instance.says(/"msg":"Server listening at http:\/\/127\.0\.0\.1:(\d+)"/);

    const details = newDetails();
    const data = once(mailServer.events, 'data');
    const answer = await fetch(`http://127.0.0.1:${port}/auth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(details),
    });
    t.equal(answer.status, 201);
    await data;
    t.match(await mailRow(tables, details.email), { status: 'queued', lease: String });

    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => {});
    t.teardown(() => socket.destroy());
    const head =
      'POST /auth/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000\r\nexpect: 100-continue';
    socket.write(`${head}\r\n\r\n`);
    t.match(String(await once(socket, 'data')), /^HTTP\/1\.1 100 /, 'it waits for the body');
    socket.write('{');
    instance.child.kill('SIGTERM');
    t.strictSame(await instance.ended(), { code: 0, signal: null }, 'it ends by itself, within the 20 s after which it would be forced');
    t.match(await mailRow(tables, details.email), { status: 'queued', lease: null, lastError: 'the instance was stopped' });
  },
);
