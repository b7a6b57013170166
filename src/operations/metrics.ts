import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { createClientErrorHandler, followAnswers } from '../http/client-error.ts';
import { securityHeaders } from '../http/security-headers.ts';
import { Problem } from '../problems/problem.ts';
import type { Measured } from './gauges.ts';
import { createRegistry } from './registry.ts';

/**
 * Serves `GET /metrics` for Prometheus, on a port of its own that nobody else need reach; on none when METRICS_PORT is
 * not set, and then nothing is counted, either. It listens from when the service is ready until that closes; where it
 * cannot, the service does not become ready.
 */
export const metricsPlugin = fp<Measured>(
  async (app, services) => {
    const { metricsPort: port, host, publicUrl } = services.config.server;
    const headers = securityHeaders(publicUrl);
    if (port === undefined) return;
    // Not loaded where nobody asks for it.
    const { registry, countRequest } = createRegistry(await import('prom-client'), services);
    app.addHook('onResponse', (request, reply, done) => {
      // The route and not the address, of which there is no end.
      const route = request.is404 ? 'none' : (request.routeOptions.url ?? 'none');
      countRequest({ route, method: request.method, status: reply.statusCode, code: request.problemCode ?? '' }, reply.elapsedTime / 1000);
      done();
    });
    let server: Server | undefined;

    // Not when it listens: what fails then is told to nobody.
    app.addHook('onReady', async () => {
      // Without Node's own check, whose answer is not a problem: for whom a request is does not matter here.
      const listening = createServer({ requireHostHeader: false }, (request, response) => {
        if (request.url !== '/metrics' || request.method !== 'GET') return refuse(response, new Problem('not_found'), headers);
        registry.metrics().then(
          (text) => response.writeHead(200, { ...headers, 'content-type': registry.contentType }).end(text),
          (err: unknown) => {
            app.log.warn({ err }, 'the metrics cannot be collected');
            refuse(response, new Problem('service_unavailable', { retryAfterSeconds: 1 }), headers);
          },
        );
      });
      followAnswers(listening);
      listening.on('clientError', createClientErrorHandler(headers));
      await listen(listening, port, host);
      server = listening;
      // With METRICS_PORT=0, nobody else knows.
      app.log.info(`the metrics are at http://${host.includes(':') ? `[${host}]` : host}:${portOf(listening)}/metrics`);
    });
    closeWith(app, () => server);
  },
  { name: 'metrics' },
);

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(Object.assign(error, { message: `METRICS_PORT: ${error.message}` })));
    server.listen(port, host, resolve);
  });
}

function refuse(response: ServerResponse, problem: Problem, headers: Readonly<Record<string, string>>): void {
  response.writeHead(problem.status, { ...headers, ...problem.headers }).end(JSON.stringify(problem));
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

function closeWith(app: FastifyInstance, find: () => Server | undefined): void {
  app.addHook('preClose', async () => {
    const server = find();
    server?.closeAllConnections();
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  });
}
