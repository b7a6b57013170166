import { deleteUser, disableUser, requireNamedUser } from '../../src/administration/manage-user.ts';
import { confirmedPerson, logIn, register } from './person.ts';
import type { Service } from './service.ts';

/** What somebody sends along, by who they are; `undefined` is nobody. */
export interface Visitors {
  readonly anonymous: undefined;
  readonly unconfirmed: string;
  readonly confirmed: string;
  /** Their account was confirmed, and disabled afterwards. */
  readonly disabled: string;
  /** They were confirmed, and have logged out. */
  readonly loggedOut: string;
  /** They were confirmed, and their account is gone. */
  readonly deleted: string;
}

/** An access token of everybody that the guard has to tell apart. */
export async function inviteVisitors(service: Service): Promise<Visitors> {
  const [confirmed, disabled, loggedOut, deleted] = await Promise.all(Array.from({ length: 4 }, () => confirmedPerson(service)));
  if (!confirmed || !disabled || !loggedOut || !deleted) throw new Error('somebody is missing');
  // Their tokens tell that they are confirmed: only the end of their sessions keeps them out.
  const [tokenOfDisabled, tokenOfDeleted] = [await logIn(service, disabled), await logIn(service, deleted)];
  const { services } = service.app;
  await disableUser(services, await requireNamedUser(services.db, disabled.id));
  await deleteUser(services, await requireNamedUser(services.db, deleted.id));
  const { status } = await service.post('/auth/logout', undefined, { token: loggedOut.token });
  if (status !== 204) throw new Error(`logout answered ${status}`);
  return {
    anonymous: undefined,
    unconfirmed: await logIn(service, await register(service)),
    confirmed: await logIn(service, confirmed),
    disabled: tokenOfDisabled,
    loggedOut: loggedOut.token,
    deleted: tokenOfDeleted,
  };
}
