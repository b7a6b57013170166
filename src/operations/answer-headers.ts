import type { FastifyContextConfig } from 'fastify';
import { seconds, text } from '../schemas.ts';

type Fields = Readonly<Record<string, object>>;

const retryAfter: Fields = { 'Retry-After': seconds('After how many seconds it may be tried again.', { minimum: 1 }) };
const quotas: Fields = {
  RateLimit: text(200, 'What is left of the limits of which half is used (draft-ietf-httpapi-ratelimit-headers).'),
  'RateLimit-Policy': text(200, 'The limits: how often in how many seconds.'),
};

const byStatus: Readonly<Record<number, Fields>> = {
  401: { 'WWW-Authenticate': text(200, 'RFC 6750.') },
  429: { ...retryAfter, ...quotas },
  503: retryAfter,
};

/** The header fields of a route's answers of one status: what the status brings, what a limit brings, and what the route names. */
export function headersOf({ limit, answerHeaders }: FastifyContextConfig, status: number): { readonly headers?: Fields } {
  const isCounted = limit !== undefined && status < 300;
  const headers = { ...byStatus[status], ...(isCounted && quotas), ...answerHeaders?.[status] };
  return Object.keys(headers).length > 0 ? { headers } : {};
}
