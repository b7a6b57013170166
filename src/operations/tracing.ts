import { setTimeout as pause } from 'node:timers/promises';
import proxyAddr from '@fastify/proxy-addr';
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace-node';
import type { FastifyInstance } from 'fastify';

/** How long the last spans may keep the service from closing. */
const lastSpansWithinMs = 2000;

export interface TracingOptions {
  /** Where spans are sent (OTLP over HTTP), without `/v1/traces`. */
  readonly endpoint: string;
  readonly serviceName: string;
  /** Who is believed about the trace that a request belongs to: addresses and CIDR ranges. */
  readonly trustedProxies: readonly string[];
}

/** What tells of a trace (W3C Trace Context, W3C Baggage). */
const traceFields = ['traceparent', 'tracestate', 'baggage'];

/**
 * Traces every request with OpenTelemetry, continues the trace of the trusted proxy that sent it (W3C Trace Context),
 * and puts its id into the log lines. Nobody else chooses ids, or what is recorded: what they say of a trace is taken off.
 * To be registered before anything else, and only where it is asked for: nothing of it is loaded otherwise.
 *
 * Spans tell of a request what its log line does: the route, never the address (which can hold a token), and no words of errors.
 */
export async function traceRequests(app: FastifyInstance, { endpoint, serviceName, trustedProxies }: TracingOptions): Promise<void> {
  const [{ FastifyOtelInstrumentation }, { OTLPTraceExporter }, { resourceFromAttributes }, sdk] = await Promise.all([
    import('@fastify/otel'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace-node'),
  ]);
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` });
  const provider = new sdk.NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName }),
    spanProcessors: [withoutWords(new sdk.BatchSpanProcessor(exporter))],
  });
  provider.register();
  const instrumentation = new FastifyOtelInstrumentation({
    recordExceptions: false,
    instrumentHooks: false,
    instrumentHandler: false,
    requestHook(span, { method, routeOptions }) {
      const route = routeOptions.url ?? 'none';
      span.updateName(`${method} ${route}`);
      span.setAttribute('url.path', route);
    },
  });
  instrumentation.setTracerProvider(provider);
  const isTrusted = proxyAddr.compile([...trustedProxies]);
  app.addHook('onRequest', ({ socket, headers }, _reply, done) => {
    if (!isTrusted(socket.remoteAddress ?? '', 0)) for (const name of traceFields) delete headers[name];
    done();
  });
  await app.register(instrumentation.plugin());
  app.addHook('onRequest', (request, _reply, done) => {
    const { span } = request.opentelemetry();
    if (span) request.log = request.log.child({ trace_id: span.spanContext().traceId });
    done();
  });
  app.addHook('onClose', async () => {
    const sent = provider.shutdown().catch((err: unknown) => app.log.warn({ err }, 'the last spans could not be sent'));
    await Promise.race([sent, pause(lastSpansWithinMs, undefined, { ref: false })]);
  });
}

/** An error's words can hold what was sent, or a row; and a refusal of the client's is no fault of the service. */
function withoutWords(next: SpanProcessor): SpanProcessor {
  return {
    onStart: (span, context) => next.onStart(span, context),
    onEnd(span) {
      const isFault = Number(span.attributes['http.response.status_code'] ?? 500) >= 500;
      next.onEnd(Object.create(span, { status: { value: { code: isFault ? span.status.code : 0 } } }) as ReadableSpan);
    },
    forceFlush: () => next.forceFlush(),
    shutdown: () => next.shutdown(),
  };
}
