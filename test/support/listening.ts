import type { Client } from './client.ts';
import { createHttpClient } from './http.ts';
import type { Service } from './service.ts';

/** Makes a service listen, and answers it with a client that sends its requests over real connections. */
export async function listening<Kind extends Pick<Service, 'listen'>>(service: Kind): Promise<Kind & Client & { readonly base: string }> {
  const base = await service.listen();
  return { ...service, ...createHttpClient(base), base };
}
