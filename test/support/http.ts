import type { Test } from 'tap';
import type { Answer, Client } from './client.ts';
import { createPatientDatabase } from './database.ts';
import { assertDocumented } from './documented.ts';
import { listening } from './listening.ts';
import { type Service, startInstance, startService } from './service.ts';

/**
 * {@link Client} over a real connection, as any program has it that uses `fetch`.
 *
 * @param check looks at each answer; not for programs that only work with the service
 */
export function createHttpClient(base: string, check: typeof assertDocumented = assertDocumented): Client {
  const request: Client['request'] = async (method, path, { token, headers, body } = {}) => {
    const isText = typeof body === 'string';
    const answer = await fetch(new URL(path, base), {
      method,
      redirect: 'manual',
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body !== undefined && { body: isText ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    const isJson = text !== '' && String(answer.headers.get('content-type')).includes('json');
    const result = { status: answer.status, headers: fieldsOf(answer.headers), text, body: isJson ? JSON.parse(text) : undefined };
    check(method, path, result);
    return result;
  };
  return {
    request,
    get: (path, options) => request('GET', path, options),
    post: (path, body, options) => request('POST', path, { ...options, body }),
  };
}

/** {@link createHttpClient}, for another program than the service. */
export function createForeignClient(base: string): Client {
  return createHttpClient(base, () => {});
}

/** As `inject` gives them: cookies, which cannot be joined into one field, as a list. */
function fieldsOf(headers: Headers): Answer['headers'] {
  const cookies = headers.getSetCookie();
  return { ...Object.fromEntries(headers), ...(cookies.length > 0 && { 'set-cookie': cookies }) } as Answer['headers'];
}

/** A service that listens, and is talked to over HTTP. */
export async function startHttpService(t: Test, overrides: Readonly<Record<string, string>> = {}): Promise<Service & { base: string }> {
  return listening(await startService(t, overrides));
}

/** {@link startHttpService}, and another instance that listens, too, on the same database and with the same clock. */
export async function startTwoHttpInstances(t: Test, overrides: Readonly<Record<string, string>> = {}) {
  const service = await startHttpService(t, { ...(await createPatientDatabase(t)), ...overrides });
  const other = await startInstance(t, service.env, service.clock);
  const instances: readonly [Client, Client] = [service, createHttpClient(await other.listen())];
  return { service, instances };
}
