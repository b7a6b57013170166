import { changeRole, requireNamedUser } from '../../src/administration/manage-user.ts';
import { linksOf } from './mail-server.ts';
import { confirmedPerson, emailChangeToken, type Person, register, resetToken } from './person.ts';
import type { Service } from './service.ts';

/** Who sends a request. */
export const roles = ['nobody', 'unconfirmed', 'confirmed', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Names of what is only known once there are people: it takes the place of `⟦name⟧` when a request is sent. */
export const knownNames = [
  ...['unconfirmed', 'confirmed', 'admin'].flatMap((who) =>
    ['id', 'email', 'username', 'password', 'access', 'refresh', 'session'].map((what) => `${who}.${what}`),
  ),
  'confirmation',
  'disown',
  'reset',
  'change',
  'stranger.confirmation',
  'stranger.id',
];
export const known = (name: string) => `⟦${name}⟧`;

export interface Cast {
  /** Puts in what is known; `me` is whoever sends the request, or somebody confirmed if that is nobody. */
  fill(text: string, me: Role): string;
  /** Logs somebody in again whose session is over, if they still have an account. */
  revive(me: Role): Promise<void>;
  /** What nobody may be told who has not said it. */
  secrets(): string[];
}

/** Registers somebody of each kind, with a session each, and takes one link of each kind out of their mails. */
export async function assembleCast(service: Service): Promise<Cast> {
  const { services } = service.app;
  const [unconfirmed, stranger, confirmed, admin] = await Promise.all([
    register(service),
    register(service),
    confirmedPerson(service),
    confirmedPerson(service),
  ]);
  await changeRole(services, await requireNamedUser(services.db, admin.id), 'admin');
  const values = new Map<string, string>([['stranger.id', stranger.id]]);
  for (const [who, person] of Object.entries({ unconfirmed, confirmed, admin })) {
    for (const [what, value] of Object.entries(await factsOf(service, person))) values.set(`${who}.${what}`, value);
  }
  const session = { token: values.get('confirmed.access') as string, password: confirmed.password };
  values.set('confirmation', await mailedToken(service, unconfirmed, 'confirm'));
  values.set('disown', await mailedToken(service, unconfirmed, 'disown'));
  values.set('stranger.confirmation', await mailedToken(service, stranger, 'confirm'));
  values.set('reset', await resetToken(service, confirmed));
  values.set('change', await emailChangeToken(service, session, `new-${confirmed.email}`));

  const secretNames = [...values.keys()].filter((name) => !/id|email|username|session$/.test(name));
  return {
    fill(text, me) {
      const self = me === 'nobody' ? 'confirmed' : me;
      return text.replace(/⟦([a-z.]+)⟧/g, (whole, name: string) => values.get(name.replace(/^me\./, `${self}.`)) ?? whole);
    },
    async revive(me) {
      const email = values.get(`${me}.email`);
      const password = values.get(`${me}.password`);
      const { status, body } = await service.post('/auth/login', { email, password });
      if (status !== 200) return;
      values.set(`${me}.access`, body.accessToken).set(`${me}.refresh`, body.refreshToken).set(`${me}.session`, body.session.id);
    },
    secrets: () => secretNames.map((name) => values.get(name) as string),
  };
}

async function factsOf(service: Service, person: Person): Promise<Record<string, string>> {
  const { body } = await service.post('/auth/login', { email: person.email, password: person.password });
  const { id, email, username, password } = person;
  return { id, email, username, password, access: body.accessToken, refresh: body.refreshToken, session: body.session.id };
}

async function mailedToken({ mailServer }: Pick<Service, 'mailServer'>, { email }: Pick<Person, 'email'>, path: string): Promise<string> {
  const prefix = `/auth/${path}/`;
  const links = linksOf(await mailServer.mailTo(email)).map((link) => new URL(link).pathname);
  const link = links.find((pathname) => pathname.startsWith(prefix));
  if (link === undefined) throw new Error(`the mail to ${email} has no link to ${path}`);
  return link.slice(prefix.length);
}
