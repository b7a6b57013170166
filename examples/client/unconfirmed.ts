import type { components, operations } from '../../openapi/latchkey.d.ts';
import type { Api } from './client.ts';

type Problem = components['schemas']['Problem'];
type Unconfirmed = operations['getUnconfirmed']['responses'][200]['content']['application/json'];

/** Whether all that is missing is the confirmation: then show what {@link awaitedMail} tells. */
export function isUnconfirmed(problem: Problem | undefined): boolean {
  return problem?.code === 'unconfirmed';
}

/**
 * The mail that an unconfirmed user waits for, and when another may be asked for; `confirmed` when there is nothing left
 * to wait for, undefined when that cannot be told now.
 */
export async function awaitedMail(api: Api): Promise<Unconfirmed | 'confirmed' | undefined> {
  // Confirmed users are redirected to the start page, which is no part of the answer. A browser shows no status of that.
  const { data, response } = await api.GET('/auth/unconfirmed', { redirect: 'manual' });
  return response.status === 303 || response.type === 'opaqueredirect' ? 'confirmed' : data;
}

/** What came of asking for another mail, and the seconds until one may be asked for again. */
export type Resend =
  | { readonly outcome: 'sent' | 'too_early'; readonly waitSeconds: number }
  | { readonly outcome: 'confirmed' }
  | { readonly outcome: 'failed'; readonly problem: Problem };

/** Asks for another mail. */
export async function askForAnotherMail(api: Api): Promise<Resend> {
  const { data, error: problem, response } = await api.POST('/auth/confirm/resend');
  if (data !== undefined) return { outcome: 'sent', waitSeconds: data.retryAfter };
  if (problem.code === 'already_confirmed') return { outcome: 'confirmed' };
  if (problem.code === 'rate_limited') return { outcome: 'too_early', waitSeconds: Number(response.headers.get('Retry-After')) };
  return { outcome: 'failed', problem };
}
