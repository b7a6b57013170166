import { catalogue, type ProblemCode } from './catalogue.ts';

/** One fault of one member of a request. `pointer` is a JSON Pointer (RFC 6901); '' is the whole document. */
export interface MemberFault {
  readonly pointer: string;
  readonly code: string;
  readonly message: string;
}

interface ProblemOptions {
  /** What really happened: for the log, never for the client. */
  readonly cause?: unknown;
  readonly detail?: string;
  readonly errors?: readonly MemberFault[];
  /** For 429 and 503: after how many seconds the client may try again. */
  readonly retryAfterSeconds?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Members of this occurrence alone (RFC 9457 §3.2). */
  readonly extensions?: Readonly<Record<string, unknown>>;
}

/** The document that a client receives (RFC 9457). */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail: string;
  readonly errors?: readonly MemberFault[];
  readonly [extension: string]: unknown;
}

/**
 * The only error that reaches a client as something else than `internal_error`.
 *
 * Its public side is the catalogue's words, with at most another `detail`; its `cause` stays in the log.
 */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: ProblemCode;
  readonly status: number;
  readonly #options: ProblemOptions;

  constructor(code: ProblemCode, options: ProblemOptions = {}) {
    super(catalogue[code].title, { cause: options.cause });
    this.code = code;
    this.status = catalogue[code].status;
    this.#options = options;
  }

  /** The header fields that belong to the answer; every 401 names a scheme (RFC 9110 §15.5.2). */
  get headers(): Record<string, string> {
    const { retryAfterSeconds, headers } = this.#options;
    return {
      'content-type': 'application/problem+json; charset=utf-8',
      ...(this.status === 401 && { 'www-authenticate': 'Bearer' }),
      ...(retryAfterSeconds !== undefined && { 'retry-after': String(Math.max(1, Math.ceil(retryAfterSeconds))) }),
      ...headers,
    };
  }

  toJSON(): ProblemDocument {
    const { title, status, detail } = catalogue[this.code];
    return {
      type: `/problems/${this.code}`,
      title,
      status,
      code: this.code,
      detail: this.#options.detail ?? detail,
      ...(this.#options.errors && { errors: this.#options.errors }),
      ...this.#options.extensions,
    };
  }
}
