import { eventually } from './eventually.ts';
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
export async function confirmedPerson(service: Pick<Service, 'get' | 'post' | 'mailServer'>): Promise<Person & { token: string }> {
  const person = await register(service);
  const token = await logIn(service, person);
  const { status, text } = await service.get(await confirmationPath(service, person), { token });
  if (status !== 200) throw new Error(`confirmation answered ${status}: ${text}`);
  return { ...person, token };
}

/** {@link confirmedPerson}, with a token from afterwards: it says that they are confirmed, which is believed without a look. */
export async function believedPerson(service: Pick<Service, 'get' | 'post' | 'mailServer'>): Promise<Person & { token: string }> {
  const person = await confirmedPerson(service);
  return { ...person, token: await logIn(service, person) };
}

/** What a client holds of a session. */
export interface HeldSession {
  readonly accessToken: string;
  readonly refreshToken: string;
}

/** A new session of a person's, with both of its tokens. */
export async function openSession(
  service: Pick<Service, 'post'>,
  { email, password }: Pick<Person, 'email' | 'password'>,
): Promise<HeldSession> {
  const { status, body, text } = await service.post('/auth/login', { email, password });
  if (status !== 200) throw new Error(`login answered ${status}: ${text}`);
  return body;
}

/** The token of the link that a request makes the service mail to an address. */
async function tokenMailedBy(
  { mailServer }: Pick<Service, 'mailServer'>,
  address: string,
  path: string,
  request: () => Promise<{ status: number; text: string }>,
) {
  const tokens = () =>
    mailServer.received
      .filter(({ recipients }) => recipients.some((each) => each.toLowerCase() === address.toLowerCase()))
      .flatMap(linksOf)
      .map((link) => new URL(link).pathname)
      .filter((pathname) => pathname.startsWith(path))
      .map((pathname) => pathname.slice(path.length));
  const before = tokens().length;
  const { status, text } = await request();
  if (status !== 202) throw new Error(`the request for a link answered ${status}: ${text}`);
  await eventually(`a link to ${path} has come to ${address}`, () => tokens().length > before);
  return tokens()[before] as string;
}

/** The token in the mail that a person gets who has forgotten the password. */
export function resetToken(service: Pick<Service, 'mailServer' | 'post'>, { email }: Pick<Person, 'email'>): Promise<string> {
  return tokenMailedBy(service, email, '/auth/password/reset/', () => service.post('/auth/password/forgot', { email }));
}

/** The token in the mail to the address that a person asks for, in a session of theirs. */
export function emailChangeToken(
  service: Pick<Service, 'mailServer' | 'post'>,
  { token, password }: Pick<Person, 'password'> & { readonly token: string },
  newEmail: string,
): Promise<string> {
  const ask = () => service.post('/auth/email', { newEmail, password }, { token });
  return tokenMailedBy(service, newEmail, '/auth/email/confirm/', ask);
}
