import type { FastifyBaseLogger, FastifyServerOptions } from 'fastify';

type Writers = Readonly<Record<'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal', (...line: unknown[]) => void>>;

/**
 * The logger of a request, made when there is something to write. Where not every request has a line in the log, most
 * have nothing to say, and to make one for each takes as long as to find out whose it is.
 */
export const lazyChildLogger: NonNullable<FastifyServerOptions['childLoggerFactory']> = (logger, bindings, options) =>
  new RequestLogger(() => logger.child(bindings, options));

class RequestLogger implements FastifyBaseLogger {
  readonly #make: () => FastifyBaseLogger;
  #made: FastifyBaseLogger | undefined;

  constructor(make: () => FastifyBaseLogger) {
    this.#make = make;
  }

  get level(): string {
    return this.#own().level;
  }

  set level(level: string) {
    this.#own().level = level;
  }

  child(...args: Parameters<FastifyBaseLogger['child']>): FastifyBaseLogger {
    return this.#own().child(...args);
  }

  trace(...line: unknown[]): void {
    this.#writers().trace(...line);
  }

  debug(...line: unknown[]): void {
    this.#writers().debug(...line);
  }

  info(...line: unknown[]): void {
    this.#writers().info(...line);
  }

  warn(...line: unknown[]): void {
    this.#writers().warn(...line);
  }

  error(...line: unknown[]): void {
    this.#writers().error(...line);
  }

  fatal(...line: unknown[]): void {
    this.#writers().fatal(...line);
  }

  silent(): void {}

  #own(): FastifyBaseLogger {
    this.#made ??= this.#make();
    return this.#made;
  }

  #writers(): Writers {
    return this.#own() as Writers;
  }
}
