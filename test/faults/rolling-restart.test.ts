import { Agent, request } from 'node:http';
import t, { type Test } from 'tap';
import { createDatabase, onServer } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { createForeignClient } from '../support/http.ts';
import { startMailServer } from '../support/mail-server.ts';
import { noNginx, passTo, runNginx } from '../support/nginx.ts';
import { confirmedPerson, openSession, type Person, register } from '../support/person.ts';
import { freePort, type RunningProcess, startProcess } from '../support/process.ts';

const perSecond = 300;

/** Sends requests at a steady rate, whether or not the ones before have been answered, and notes what came of each. */
function startLoad(
  t: Test,
  base: string,
  send: (index: number) => { method: string; path: string; headers: Record<string, string>; body?: string },
) {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  t.teardown(() => agent.destroy());
  const outcomes = new Map<string, number>();
  const pending = new Set<Promise<void>>();
  let sent = 0;

  async function one(): Promise<void> {
    const { method, path, headers, body } = send(sent);
    sent += 1;
    const outcome = await new Promise<string>((resolve) => {
      const outgoing = request(new URL(path, base), { method, headers, agent }, (answer) => {
        answer.resume().once('end', () => resolve(`${method} ${path} ${answer.statusCode}`));
      });
      outgoing.once('error', (error) => resolve(`${method} ${path} ${error.message}`));
      outgoing.end(body);
    });
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }

  const began = performance.now();
  const timer = setInterval(() => {
    for (const due = ((performance.now() - began) / 1000) * perSecond; sent < due; ) {
      const task = one().finally(() => pending.delete(task));
      pending.add(task);
    }
  }, 5);
  t.teardown(() => clearInterval(timer));
  return {
    sent: () => sent,
    async end() {
      clearInterval(timer);
      await Promise.all(pending);
      return outcomes;
    },
  };
}

t.test(
  'Z24: a rolling restart behind nginx loses no request',
  { skip: noNginx || (!onServer && 'needs a PostgreSQL server') },
  async (t) => {
    const [database, mailServer, ...ports] = await Promise.all([createDatabase(t), startMailServer(t), freePort(), freePort()]);
    const env = {
      ...database,
      SMTP_URL: mailServer.url,
      ...{ ARGON2_MEMORY_KIB: '8', ARGON2_PASSES: '1', RATE_LIMIT: 'off', LOG_LEVEL: 'warn' },
      ...{ TRUSTED_PROXIES: '127.0.0.1', SHUTDOWN_DELAY_SECONDS: '2', AUTH_SECRET: 'q9Xv2LmB7cTz4RkW8sYd1NfH6gJp3KaE' },
    };
    async function startOn(port: number): Promise<RunningProcess> {
      const instance = startProcess(t, { file: 'src/server.ts' }, { ...env, PORT: String(port), PUBLIC_URL: 'http://localhost' });
      await instance.says(/Latchkey answers/);
      return instance;
    }
    const running = new Map(await Promise.all(ports.map(async (port) => [port, await startOn(port)] as const)));
    const base = await runNginx(t, ({ port, writes }) => {
      // An instance that was away a moment ago is asked again at once: the other one is about to leave.
      const servers = ports.map((each) => `server 127.0.0.1:${each} max_fails=0;`).join(' ');
      return `events { worker_connections 1024; }
http {
${writes}
  upstream instances { ${servers} keepalive 32; }
  server {
    listen 127.0.0.1:${port};
    location / {${passTo('http://instances')}
    }
    # As in deploy/nginx.conf: what is harmless when it comes twice is sent again when its connection was reset.
    location ~ ^/auth/(login|refresh)$ {${passTo('http://instances')}
      proxy_next_upstream error timeout non_idempotent;
    }
  }
}
`;
    });
    const service = { ...createForeignClient(base), mailServer };
    const person = await confirmedPerson(service);
    const { accessToken } = await openSession(service, person);
    const headers = { authorization: `Bearer ${accessToken}`, 'user-agent': 'node' };
    const others = await Promise.all(Array.from({ length: 20 }, () => register(service)));
    const login = (index: number) => {
      const { email, password } = others[index % others.length] as Person;
      return JSON.stringify({ email, password });
    };
    const load = startLoad(t, base, (index) =>
      index % 20 === 0
        ? {
            method: 'POST',
            path: '/auth/login',
            headers: { 'content-type': 'application/json', 'user-agent': 'node' },
            body: login(index / 20),
          }
        : { method: 'GET', path: index % 2 === 0 ? '/auth/me' : '/secret', headers },
    );

    for (const port of ports) {
      const before = load.sent();
      await eventually('the load is under way', () => load.sent() > before + perSecond / 2);
      const instance = running.get(port) as RunningProcess;
      instance.child.kill('SIGTERM');
      t.same(await instance.ended(), { code: 0, signal: null });
      await startOn(port);
    }
    const last = load.sent();
    await eventually('both have answered again', () => load.sent() > last + perSecond);
    const outcomes = Object.fromEntries(await load.end());
    t.same(Object.keys(outcomes).sort(), ['GET /auth/me 200', 'GET /secret 200', 'POST /auth/login 200'], JSON.stringify(outcomes));
    t.ok(load.sent() > 5 * perSecond, `${load.sent()} requests`);
  },
);
