import type { FastifyInstance } from 'fastify';
import { assertDocumented } from './documented.ts';

/** An answer, with its body read if it is JSON. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look at what came, whatever it is
  readonly body: any;
  readonly text: string;
}

interface RequestOptions {
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';

/** Sends requests through `app.inject`, as JSON. */
export interface Client {
  request(method: Method, url: string, options?: RequestOptions & { body?: unknown }): Promise<Answer>;
  get(url: string, options?: RequestOptions): Promise<Answer>;
  post(url: string, body?: unknown, options?: RequestOptions): Promise<Answer>;
}

type Injectable = Pick<FastifyInstance, 'inject'>;

/** @param onPassword told every password that is sent */
export function createClient(app: Injectable, onPassword: (password: string) => void = () => {}): Client {
  const request: Client['request'] = async (method, url, { token, headers, body } = {}) => {
    for (const [name, value] of Object.entries(body ?? {})) if (/password/i.test(name) && typeof value === 'string') onPassword(value);
    const answer = await app.inject({
      method,
      url,
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
      ...(body !== undefined && { payload: body as object }),
    });
    const isJson = answer.payload !== '' && String(answer.headers['content-type']).includes('json');
    const result: Answer = {
      status: answer.statusCode,
      headers: answer.headers as Answer['headers'],
      text: answer.payload,
      body: isJson ? answer.json() : undefined,
    };
    assertDocumented(method, url, result);
    return result;
  };
  return {
    request,
    get: (url, options) => request('GET', url, options),
    post: (url, body, options) => request('POST', url, { ...options, body }),
  };
}
