import type { FastifyRequest } from 'fastify';

/** Whether a person's browser asks: browsers name HTML; API clients name JSON, anything, or nothing (RFC 9110 §12.5.1). */
export function wantsPage({ headers }: Pick<FastifyRequest, 'headers'>): boolean {
  const { accept = '' } = headers;
  return isHtml(accept) && accept.split(',').some((range) => isHtml(range) && !isRefused(range));
}

function isHtml(ranges: string): boolean {
  return /\btext\/html\b/i.test(ranges);
}

/** Whether the weight of a media range is zero: not acceptable (RFC 9110 §12.4.2). */
function isRefused(range: string): boolean {
  return range.split(';').some((parameter) => /^\s*q=0(?:\.0*)?\s*$/i.test(parameter));
}

/** Whether an API client says that it is one. What fetches links for other reasons takes anything. */
export function asksForJson({ headers }: Pick<FastifyRequest, 'headers'>): boolean {
  return !wantsPage({ headers }) && /\bapplication\/(?:[\w.+-]*\+)?json\b/i.test(headers.accept ?? '');
}

/** Whether the browser only looks ahead, and nobody has clicked yet (Fetch Metadata, and what came before it). */
export function isPrefetch({ headers }: Pick<FastifyRequest, 'headers'>): boolean {
  const purposes = ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'].map((name) => String(headers[name] ?? ''));
  return purposes.some((purpose) => /prefetch|prerender|preview/i.test(purpose));
}
