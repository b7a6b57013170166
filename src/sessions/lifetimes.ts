import type { SessionRow } from '../identity/sessions.ts';

const dayMs = 24 * 3600 * 1000;

/** However often it is refreshed, a session ends after this (NIST SP 800-63B-4 §2.1.3, AAL1). */
const absoluteLifetimeMs = 30 * dayMs;
const idleLifetimeMs = 7 * dayMs;
const idleLifetimeForgottenMs = 1 * dayMs;

/** When a session that begins now ends in any case. */
export function absoluteEnd(now: Date): Date {
  return new Date(now.getTime() + absoluteLifetimeMs);
}

/** When a session that was used just now ends unless it is used again, or before that at its absolute end. */
export function idleLimit(rememberMe: boolean, now: Date): Date {
  return new Date(now.getTime() + (rememberMe ? idleLifetimeMs : idleLifetimeForgottenMs));
}

/** The earlier of {@link idleLimit} and the absolute end. */
export function idleEnd({ rememberMe, expiresAt }: Pick<SessionRow, 'rememberMe' | 'expiresAt'>, now: Date): Date {
  return new Date(Math.min(idleLimit(rememberMe, now).getTime(), expiresAt.getTime()));
}
