import { createServer, type Server } from 'node:http';
import { count, eq, min } from 'drizzle-orm';
import fp from 'fastify-plugin';
import type { Registry } from 'prom-client';
import { mails } from '../db/schema.ts';
import { securityHeaders } from '../http/security-headers.ts';
import type { Services } from '../services.ts';

type PromClient = typeof import('prom-client');
type Needs = Pick<Services, 'clock' | 'config' | 'db' | 'mailOutage'>;

/**
 * Serves `GET /metrics` for Prometheus, on a port of its own that nobody else need reach; on none when METRICS_PORT is
 * not set. It listens while the service does.
 */
export const metricsPlugin = fp<Needs>(
  async (app, services) => {
    const { metricsPort: port, host, publicUrl } = services.config.server;
    const headers = securityHeaders(publicUrl);
    if (port === undefined) return;
    // Not loaded where nobody asks for it.
    const registry = createRegistry(await import('prom-client'), services);
    let server: Server | undefined;

    app.addHook('onListen', async () => {
      const listening = createServer((request, response) => {
        if (request.url !== '/metrics' || request.method !== 'GET') return void response.writeHead(404, headers).end();
        registry.metrics().then(
          (text) => response.writeHead(200, { ...headers, 'content-type': registry.contentType }).end(text),
          (err: unknown) => {
            app.log.warn({ err }, 'the metrics cannot be collected');
            response.writeHead(503, headers).end();
          },
        );
      });
      await new Promise<void>((resolve, reject) => listening.once('error', reject).listen(port, host, resolve));
      server = listening;
    });
    app.addHook('preClose', async () => {
      server?.closeAllConnections();
      await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
    });
  },
  { name: 'metrics' },
);

function createRegistry({ collectDefaultMetrics, Gauge, Registry }: PromClient, { clock, db, mailOutage }: Needs): Registry {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  new Gauge({
    name: 'latchkey_mail_queued',
    help: 'Mails that wait in the outbox.',
    registers,
    async collect() {
      const [row] = await db.select({ count: count() }).from(mails).where(eq(mails.status, 'queued'));
      this.set(row?.count ?? 0);
    },
  });
  new Gauge({
    name: 'latchkey_mail_oldest_queued_seconds',
    help: 'For how long the oldest mail in the outbox has been waiting; 0 when none is.',
    registers,
    async collect() {
      const [row] = await db
        .select({ since: min(mails.createdAt) })
        .from(mails)
        .where(eq(mails.status, 'queued'));
      this.set(row?.since ? Math.max(0, clock.now().getTime() - row.since.getTime()) / 1000 : 0);
    },
  });
  new Gauge({
    name: 'latchkey_mail_outage',
    help: 'Whether this instance cannot send mails at the moment, and why: held (credentials, TLS or sender) or unreachable.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const state of ['held', 'unreachable'] as const) this.set({ state }, mailOutage()?.state === state ? 1 : 0);
    },
  });
  return registry;
}
