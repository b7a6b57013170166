import t from 'tap';
import { openDatabase } from '../../src/db/open.ts';
import { noPostgres, startCluster } from '../support/cluster.ts';
import { query } from '../support/database.ts';
import { startInstance, startService } from '../support/service.ts';

const said = /a crash of the database server may undo what it has acknowledged/;

t.test('Z11 a service tells at its start that the server may forget what it has acknowledged', { skip: noPostgres }, async (t) => {
  const cluster = await startCluster(t, 'fsync = on');
  const careful = await startService(t, { DATABASE_URL: cluster.url });
  t.notMatch(careful.log.join(''), said);

  await query(cluster.url, 'alter role postgres set synchronous_commit = off');
  const hurried = await startInstance(t, careful.env);
  const warning = hurried.log.find((line) => said.test(line)) ?? '{}';
  t.match(JSON.parse(warning), { level: 40, settings: ['synchronous_commit'] });
});

t.test('what goes wrong while that is told leaves no connection open', { skip: noPostgres }, async (t) => {
  const cluster = await startCluster(t);
  await (await openDatabase({ url: cluster.url, dataDir: '', announce: () => {}, onIdleError: () => {} })).close();
  const failing = openDatabase({
    url: cluster.url,
    dataDir: '',
    announce: () => {},
    onIdleError: () => {},
    onRisk: () => {
      throw new Error('nobody wants to hear it');
    },
  });
  await t.rejects(failing, { message: 'nobody wants to hear it' });
  const { rows } = await query(cluster.url, `select count(*)::int as open from pg_stat_activity where application_name = 'latchkey'`);
  t.equal(rows[0].open, 0);
});
