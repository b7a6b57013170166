import type { Test } from 'tap';
import type { Client } from './client.ts';
import { type Service, startInstance, startService } from './service.ts';

/** A service, and another instance of it on the same database, with the same clock. */
export async function startTwoInstances(t: Test): Promise<{ service: Service; instances: readonly [Client, Client] }> {
  const service = await startService(t);
  return { service, instances: [service, await startInstance(t, service.env, service.clock)] };
}

/** Does something many times at once, by turns on each of the instances. */
export function allAtOnce<Result>(
  count: number,
  instances: readonly Client[],
  act: (instance: Client, index: number) => Promise<Result>,
): Promise<Result[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => act(instances[index % instances.length] as Client, index)));
}

/** How often each status came, such as `{ 201: 1, 409: 49 }`. */
export function tally(answers: readonly { readonly status: number }[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
