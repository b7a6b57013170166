import type { Test } from 'tap';
import type { Client } from './client.ts';
import { createPatientDatabase } from './database.ts';
import { type Service, startInstance, startService } from './service.ts';

type Instance = Client & Pick<Service, 'listen'>;

/** A service, and another instance of it on the same patient database, with the same clock. */
export async function startTwoInstances(
  t: Test,
  overrides: Readonly<Record<string, string>> = {},
): Promise<{ service: Service; instances: readonly [Instance, Instance] }> {
  const service = await startService(t, { ...(await createPatientDatabase(t)), ...overrides });
  return { service, instances: [service, await startInstance(t, service.env, service.clock)] };
}

/** Does something many times at once, by turns on each of the instances. */
export function allAtOnce<Kind extends Client, Result>(
  count: number,
  instances: readonly Kind[],
  act: (instance: Kind, index: number) => Promise<Result>,
): Promise<Result[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => act(instances[index % instances.length] as Kind, index)));
}

/** How often each status came, such as `{ 201: 1, 409: 49 }`. */
export function tally(answers: readonly { readonly status: number }[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
