import type { Client } from './client.ts';
import { type Method, methods } from './routes.ts';

/** One method of one path, as a client reads of it in the document. */
export interface Operation {
  readonly method: Method;
  /** With the parameters in braces. */
  readonly path: string;
  readonly name: string;
  /** The path with something in the place of each parameter. */
  readonly url: string;
}

const samples: Readonly<Record<string, string>> = { id: '019aa3f0-0000-7000-8000-000000000000', token: 'x', code: 'unconfirmed' };

export function withSamples(path: string): string {
  return path.replace(/\{(\w+)\}/g, (_, name) => samples[name] ?? 'x');
}

/** Every operation of the published document. */
export async function publishedOperations({ get }: Pick<Client, 'get'>): Promise<Operation[]> {
  const { body } = await get('/openapi.json');
  return Object.entries<object>(body.paths).flatMap(([path, item]) =>
    methods
      .filter((method) => method.toLowerCase() in item)
      .map((method) => ({ method, path, name: `${method} ${path}`, url: withSamples(path) })),
  );
}
