import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import t, { type Test } from 'tap';
import { loadConfig } from '../../src/config.ts';
import { noCompose, refusalOfCompose, refusalOfKubernetes } from '../support/deployment.ts';
import { startService } from '../support/service.ts';

// CommonJS, whose types do not suit ES modules.
const { Yaml } = createRequire(import.meta.url)('@stoplight/spectral-parsers');

// biome-ignore lint/suspicious/noExplicitAny: whatever is in the file
function parse(text: string): any {
  const { data, diagnostics } = Yaml.parse(text);
  const faults = (diagnostics as { message: string; severity: number }[]).filter(({ severity }) => severity === 0);
  if (faults.length > 0) throw new Error(faults.map(({ message }) => message).join('\n'));
  return data;
}

const secrets = {
  AUTH_SECRET: 'q9Xv2LmB7cTz4RkW8sYd1NfH6gJp3KaE',
  DATABASE_URL: 'postgres://latchkey:secret@postgres:5432/latchkey',
  SMTP_URL: 'smtps://latchkey:secret@smtp.example.com',
};

/** The variables that config.ts reads and README.md describes. */
async function knownVariables(): Promise<Set<string>> {
  const source = await readFile('src/config.ts', 'utf8');
  const table = (await readFile('README.md', 'utf8')).match(/^\| `[A-Z].*$/gm)?.join('\n') ?? '';
  const described = [...table.matchAll(/`([A-Z][A-Z\d_]+)`/g)].map(([, name = '']) => name);
  return new Set(described.filter((name) => source.includes(`'${name}'`)));
}

/** What a service would run with that has these variables, on top of those of the image. */
async function configOf(t: Test, environment: Readonly<Record<string, string>>) {
  const known = await knownVariables();
  for (const [name, value] of Object.entries(environment)) {
    t.ok(known.has(name), `${name} is a variable of the service`);
    t.type(value, 'string', `${name}: a number or a boolean would not be taken`);
  }
  return loadConfig({ NODE_ENV: 'production', HOST: '0.0.0.0', ...environment });
}

async function assertPaths(t: Test, paths: readonly string[]) {
  const service = await startService(t, { SMTP_URL: '' });
  for (const path of paths) t.equal((await service.get(path)).status, 200, path);
}

t.test('Compose takes docker-compose.yml', { skip: noCompose }, async (t) => {
  t.equal(refusalOfCompose(await readFile('docker-compose.yml', 'utf8'), {}), '');
});

t.test('compose.yml', async (t) => {
  const text = await readFile('deploy/compose.yml', 'utf8');
  const example = variablesOf(await readFile('deploy/env.example', 'utf8'));
  const { services, networks, volumes } = parse(text);
  const instances = [services['latchkey-1'], services['latchkey-2']];
  t.same(instances[0], instances[1], 'both are alike');

  t.test('what is asked for from outside is in env.example, without the secrets', async (t) => {
    const asked = new Set([...text.matchAll(/\$\{([A-Z_]+)/g)].map(([, name]) => name as string));
    t.strictSame([...asked].sort(), Object.keys(example).sort());
    t.match(example, { AUTH_SECRET: '', POSTGRES_PASSWORD: '', SMTP_URL: '' });
  });

  t.test('an instance starts with it', async (t) => {
    const given = { ...example, AUTH_SECRET: secrets.AUTH_SECRET, POSTGRES_PASSWORD: 'of-the-database' };
    const environment = interpolated(instances[0].environment, given);
    const config = await configOf(t, environment);
    t.match(config, { production: true, databaseUrl: 'postgres://latchkey:of-the-database@postgres:5432/latchkey' });
    t.match(config.mail, { smtpUrl: 'smtp://mailpit:1025?requireTLS=false', from: { address: 'no-reply@accounts.example.com' } });
    t.strictSame(config.server.trustedProxies, [services.nginx.networks.inside.ipv4_address], 'nginx, and nobody else, is believed');
    const grace = Number.parseInt(instances[0].stop_grace_period, 10);
    t.ok(grace >= config.server.shutdownDelaySeconds + 20, 'it is not killed while it ends');
    t.throws(() => interpolated(instances[0].environment, { ...given, AUTH_SECRET: '' }), /AUTH_SECRET/, 'not without a secret');
  });

  t.test('only nginx and the mails can be reached, from this machine', async (t) => {
    const published = Object.entries<{ ports?: string[] }>(services).flatMap(([name, { ports = [] }]) =>
      ports.map((port) => `${name} ${port}`),
    );
    t.strictSame(published, ['nginx 127.0.0.1:8080:80', 'mailpit 127.0.0.1:8025:8025']);
    t.strictSame(Object.keys(networks), ['outside', 'inside']);
    t.strictSame(services.postgres.networks, ['inside']);
  });

  t.test('Compose takes it', { skip: noCompose }, async (t) => {
    const given = { ...example, AUTH_SECRET: secrets.AUTH_SECRET, POSTGRES_PASSWORD: 'of-the-database' };
    t.equal(refusalOfCompose(text, given), '');
    t.match(refusalOfCompose(text, { ...given, POSTGRES_PASSWORD: '' }), /POSTGRES_PASSWORD/);
    t.match(refusalOfCompose(text.replace('depends_on:', 'depends-on:'), given), /depends-on/, 'it looks');
  });

  t.test('names, ports and volumes agree', async (t) => {
    const nginx = await readFile('deploy/nginx.conf', 'utf8');
    const { server } = await configOf(t, { PUBLIC_URL: 'https://a.example', MAIL_FROM: 'a@a.example', ...secrets });
    for (const name of ['latchkey-1', 'latchkey-2']) {
      t.ok(services[name]);
      t.ok(nginx.includes(`server ${name}:${server.port} max_fails=0;`), name);
    }
    t.match(nginx, /^ {4}listen 80;$/m);
    t.strictSame(Object.keys(volumes), ['postgres']);
    const [, path = ''] = /http:\/\/127\.0\.0\.1(\S+)/.exec(services.nginx.healthcheck.test.at(-1)) ?? [];
    await assertPaths(t, [path]);
  });

  t.test('images are pinned', async (t) =>
    assertPinned(
      t,
      Object.values<{ image: string }>(services).map(({ image }) => image),
    ),
  );
});

t.test('kubernetes.yaml', async (t) => {
  const documents = (await readFile('deploy/kubernetes.yaml', 'utf8')).split(/^---$/m).map(parse);
  const theOne = (kind: string) => {
    const found = documents.filter((each) => each.kind === kind);
    t.equal(found.length, 1, kind);
    return found[0];
  };
  const deployment = theOne('Deployment');
  const pod = deployment.spec.template.spec;
  const [container] = pod.containers;
  const environment = { ...theOne('ConfigMap').data, ...theOne('Secret').stringData };

  t.test('is what Kubernetes takes', async (t) => {
    for (const document of documents) t.equal(await refusalOfKubernetes(document), '', document.kind);
    const wrong = { ...deployment, spec: { ...deployment.spec, replicas: '2' } };
    t.match(await refusalOfKubernetes(wrong), /replicas must be integer/, 'it looks');
  });

  t.test('the variables are those of the service, and the example of a secret is refused', async (t) => {
    const config = await configOf(t, { ...environment, ...secrets });
    t.equal(config.production, true);
    t.throws(() => loadConfig({ NODE_ENV: 'production', ...environment }), /AUTH_SECRET/);
    const ports = Object.fromEntries(
      container.ports.map((port: { name: string; containerPort: number }) => [port.name, port.containerPort]),
    );
    t.strictSame(ports, { http: config.server.port, metrics: config.server.metricsPort });
    t.equal(deployment.spec.template.metadata.annotations['prometheus.io/port'], String(config.server.metricsPort));
    const endsWithin = config.server.shutdownDelaySeconds + 20;
    t.ok(pod.terminationGracePeriodSeconds >= endsWithin, 'it is not killed while it ends');
    const { periodSeconds, failureThreshold } = container.readinessProbe;
    t.ok(periodSeconds * failureThreshold < config.server.shutdownDelaySeconds, 'it answers until everybody has turned away');
  });

  t.test('what refers to something finds it', async (t) => {
    const labels = deployment.spec.template.metadata.labels;
    const selectors = [
      deployment.spec.selector.matchLabels,
      theOne('Service').spec.selector,
      theOne('PodDisruptionBudget').spec.selector.matchLabels,
      theOne('NetworkPolicy').spec.podSelector.matchLabels,
      pod.topologySpreadConstraints[0].labelSelector.matchLabels,
    ];
    for (const selector of selectors) t.strictSame(selector, labels);
    const names = container.envFrom.map((from: Record<string, { name: string }>) => Object.values(from)[0]?.name);
    t.strictSame(names, [theOne('ConfigMap').metadata.name, theOne('Secret').metadata.name]);
    t.equal(pod.serviceAccountName, theOne('ServiceAccount').metadata.name);
    const ports = container.ports.map(({ name }: { name: string }) => name);
    const used = [
      theOne('Service').spec.ports[0].targetPort,
      ...['startupProbe', 'readinessProbe', 'livenessProbe'].map((probe) => container[probe].httpGet.port),
      ...theOne('NetworkPolicy').spec.ingress.flatMap((rule: { ports: { port: string }[] }) => rule.ports.map(({ port }) => port)),
    ];
    for (const port of used) t.ok(ports.includes(port), port);
    const { name } = theOne('Namespace').metadata;
    for (const { kind, metadata } of documents) if (kind !== 'Namespace') t.equal(metadata.namespace, name, kind);
    t.ok(theOne('PodDisruptionBudget').spec.minAvailable < deployment.spec.replicas, 'a node can be drained');
  });

  t.test('the probes ask for what there is, and none kills a process for the sake of the database', async (t) => {
    t.equal(container.livenessProbe.httpGet.path, '/health/live');
    t.equal(container.readinessProbe.httpGet.path, '/health/ready');
    await assertPaths(t, [container.startupProbe.httpGet.path, '/health/live', '/health/ready']);
  });

  t.test('images are pinned, and whoever runs is nobody', async (t) => {
    assertPinned(t, [container.image]);
    const dockerfile = await readFile('Dockerfile', 'utf8');
    t.match(dockerfile, /^USER node$/m, 'whose number is 1000');
    const { scripts } = JSON.parse(await readFile('package.json', 'utf8'));
    t.equal(`exec ${JSON.parse(dockerfile.split('CMD ').at(-1) ?? '').join(' ')}`, scripts.start, 'the command is that of `npm start`');
    t.match(pod.securityContext, { runAsNonRoot: true, runAsUser: 1000 });
    t.match(container.securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
  });
});

/** By a whole version: `17` would be another program tomorrow. */
function assertPinned(t: Test, images: readonly string[]) {
  t.ok(images.length > 0);
  for (const image of images) t.match(image, /:v?\d+\.\d+(?:\.\d+)?(?:-[\w.]+)?$/, image);
}

function variablesOf(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => /^[A-Z]/.test(line));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

/** As `docker compose` does for what stands in the file: `${NAME}`, `${NAME:-else}` and `${NAME:?complaint}`. */
function interpolated(values: Readonly<Record<string, string>>, given: Readonly<Record<string, string>>): Record<string, string> {
  const fill = (_: string, name: string, kind = '', more = '') => {
    const value = given[name] ?? '';
    if (value === '' && kind === ':?') throw new Error(`${name} ${more}`);
    return value === '' ? more : value;
  };
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, value.replace(/\$\{([A-Z_]+)(?:(:[-?])([^}]*))?\}/g, fill)]),
  );
}
