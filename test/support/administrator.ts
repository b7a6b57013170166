import { changeRole, requireNamedUser } from '../../src/administration/manage-user.ts';
import { confirmedPerson, logIn } from './person.ts';
import type { Service } from './service.ts';

/** Somebody who administers a service. @returns their access token */
export async function administratorOf(service: Service): Promise<string> {
  const person = await confirmedPerson(service);
  const { services } = service.app;
  await changeRole(services, await requireNamedUser(services.db, person.id), 'admin');
  return logIn(service, person);
}

export type ShutOut = (user: { readonly id: string; readonly password: string }, token: string) => Promise<{ readonly status: number }>;

/** Every way in which an account is closed for good or until further notice: by an administrator, or by its owner. */
export function waysToShutOut(
  { request, post }: Pick<Service, 'request' | 'post'>,
  administrator: string,
): Readonly<Record<string, ShutOut>> {
  return {
    disabled: ({ id }) => request('PATCH', `/admin/users/${id}`, { token: administrator, body: { disabled: true } }),
    deleted: ({ id }) => request('DELETE', `/admin/users/${id}`, { token: administrator }),
    'deleted by its owner': ({ password }, token) => post('/auth/me/deletion', { password }, { token }),
  };
}
