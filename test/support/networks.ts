import { like } from 'drizzle-orm';
import type { Queryable } from '../../src/db/database.ts';
import { rateLimits } from '../../src/db/schema.ts';
import type { Client } from './client.ts';

/** Variables that make a service believe what its client on this machine says of where a request comes from. */
export const behindProxy = { TRUSTED_PROXIES: '127.0.0.1', SESSION_PROTECTION: 'none' };

/** A client somewhere else. */
export function clientAt(service: Client, ip: string): Client {
  const there = (headers: Readonly<Record<string, string>> = {}) => ({ 'x-forwarded-for': ip, ...headers });
  const request: Client['request'] = (method, url, options = {}) =>
    service.request(method, url, { ...options, headers: there(options.headers) });
  return {
    request,
    get: (url, options) => request('GET', url, options),
    post: (url, body, options) => request('POST', url, { ...options, body }),
  };
}

/** Does something so many times, one after the other, and answers what came. */
export async function inTurn<Result>(count: number, act: (index: number) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  for (let index = 0; index < count; index += 1) results.push(await act(index));
  return results;
}

/** Makes as if something had been used so often already, by everybody who has used it at all. */
export async function setUsed(tables: Queryable, name: string, used: number): Promise<void> {
  await tables
    .update(rateLimits)
    .set({ used })
    .where(like(rateLimits.key, `${name}:%`));
}
