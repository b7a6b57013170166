import { linksOf } from './mail-server.ts';
import type { Service } from './service.ts';

/** Somebody who uses a service, with what they know. */
export interface Person {
  readonly id: string;
  readonly email: string;
  readonly username: string;
  readonly password: string;
}

let people = 0;

/** Details that nobody else in this process has. */
export function newDetails(): Omit<Person, 'id'> {
  people += 1;
  return { email: `person${people}@example.com`, username: `person${people}`, password: `a password of ${people} own` };
}

export async function register(service: Pick<Service, 'post'>, details = newDetails()): Promise<Person> {
  const { status, body, text } = await service.post('/auth/register', details);
  if (status !== 201) throw new Error(`registration answered ${status}: ${text}`);
  return { ...details, id: body.user.id };
}

/** @returns the access token of a new session */
export async function logIn(service: Pick<Service, 'post'>, { email, password }: Pick<Person, 'email' | 'password'>): Promise<string> {
  const { status, body, text } = await service.post('/auth/login', { email, password });
  if (status !== 200) throw new Error(`login answered ${status}: ${text}`);
  return body.accessToken;
}

/** The path of the link in the `count`th mail to a person. */
export async function confirmationPath(
  { mailServer }: Pick<Service, 'mailServer'>,
  { email }: Pick<Person, 'email'>,
  count = 1,
): Promise<string> {
  const [link] = linksOf(await mailServer.mailTo(email, count));
  return new URL(link ?? '').pathname;
}

/** The token in that link. */
export async function confirmationToken(service: Pick<Service, 'mailServer'>, person: Pick<Person, 'email'>, count = 1): Promise<string> {
  return (await confirmationPath(service, person, count)).replace('/auth/confirm/', '');
}

/** Somebody who has registered, logged in and followed the link. */
export async function confirmedPerson(service: Service): Promise<Person & { token: string }> {
  const person = await register(service);
  const token = await logIn(service, person);
  const { status, text } = await service.get(await confirmationPath(service, person), { token });
  if (status !== 200) throw new Error(`confirmation answered ${status}: ${text}`);
  return { ...person, token };
}
