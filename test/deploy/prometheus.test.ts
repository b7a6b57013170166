import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { noPromtool, promtool } from '../support/promtool.ts';

const directory = 'deploy/prometheus';

t.test('every alert goes off when it should, and does not when it should not', { skip: noPromtool }, async (t) => {
  const checked = promtool('check', 'rules', join(directory, 'alerts.yml'));
  t.equal(checked.status, 0, checked.said);
  const tested = promtool('test', 'rules', join(directory, 'alerts.test.yml'));
  t.equal(tested.status, 0, tested.said);
});

t.test('no alert is without a test of either kind', async (t) => {
  const alerts = [...(await readFile(join(directory, 'alerts.yml'), 'utf8')).matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  const tests = await readFile(join(directory, 'alerts.test.yml'), 'utf8');
  const silent = [...tests.matchAll(/alertname: (\w+) }$/gm)].map(([, name]) => name);
  const loud = [...tests.matchAll(/alertname: (\w+)\n +exp_alerts: \[{/g)].map(([, name]) => name);
  t.ok(alerts.length > 5);
  for (const tested of [silent, loud]) t.strictSame([...new Set(tested)].sort(), [...alerts].sort());
});

t.test('what the dashboard asks for can be asked for', { skip: noPromtool }, async (t) => {
  const { panels } = JSON.parse(await readFile('deploy/grafana/latchkey.json', 'utf8')) as { panels: { targets?: { expr: string }[] }[] };
  const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr.replaceAll('$__rate_interval', '5m')));
  t.ok(expressions.length > 5);
  const rules = expressions.map((expr, number) => ({ record: `asked:${number}`, expr }));
  const path = t.testdir({ 'rules.yml': JSON.stringify({ groups: [{ name: 'dashboard', rules }] }) });
  const { status, said } = promtool('check', 'rules', join(path, 'rules.yml'));
  t.equal(status, 0, said);
});
