import type { Test } from 'tap';
import type { Client } from './client.ts';

/** What a token opens, by header and by cookie: a status with the code of a problem and the challenge, and whom `/` greets. */
async function attempts(client: Client, token: string): Promise<string[]> {
  const [authorization, cookie] = [`Bearer ${token}`, `access=${token}`];
  const visit = async (url: string, headers: Readonly<Record<string, string>>) => {
    const { status, body, headers: answered } = await client.get(url, { headers });
    return [status, body?.code, answered['www-authenticate']].filter((part) => part !== undefined).join(' ');
  };
  return Promise.all([
    visit('/auth/me', { authorization }),
    visit('/secret', { authorization }),
    visit('/auth/verify', { authorization }),
    visit('/secret', { cookie }),
    client.get('/', { headers: { authorization } }).then(({ body }) => String(body?.message)),
  ]);
}

/** Asserts that a token opens nothing, and that whoever presents it is a stranger. */
export async function opensNothing(t: Test, client: Client, token: string, what: string): Promise<void> {
  const [invalid, missing] = ['401 unauthenticated Bearer error="invalid_token"', '401 unauthenticated Bearer'];
  t.strictSame(await attempts(client, token), [invalid, invalid, invalid, missing, 'Hello, Stranger!'], `it opens nothing: ${what}`);
}

/** Asserts that a token of somebody confirmed opens everything, in the ways that {@link opensNothing} tries. */
export async function opensAll(t: Test, client: Client, token: string, username: string): Promise<void> {
  t.strictSame(await attempts(client, token), ['200', '200', '204', '200', `Hello, ${username}!`], 'a genuine one opens everything');
}
