import type { FastifyError, FastifySchemaValidationError } from 'fastify';
import type { ProblemCode } from './catalogue.ts';
import { type MemberFault, Problem } from './problem.ts';

/** What the framework calls its refusals, in our words. */
const frameworkCodes: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_BAD_URL: 'malformed_request',
  FST_ERR_MAX_PARAM_LENGTH: 'uri_too_long',
  FST_ERR_ASYNC_CONSTRAINT: 'malformed_request',
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_request',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_request',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_request',
};

/** A request can have thousands of unknown members; nobody needs to read of more than these. */
const reportedFaults = 16;

/**
 * Turns whatever was thrown into the Problem that the client gets.
 *
 * Anything that is not known to be the client's fault is `internal_error`, so that nothing of ours leaks.
 */
export function problemFromError(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const { code = '', validation, statusCode } = error as Partial<FastifyError>;
  if (validation) {
    return new Problem('validation_failed', { errors: validation.slice(0, reportedFaults).map(memberFault), cause: error });
  }
  const known = frameworkCodes[code];
  if (known) return new Problem(known, { cause: error });
  // Of the plugins that serve files: a path that leaves the directory, a range or a condition that cannot be met.
  if (statusCode === 403 || statusCode === 404) return new Problem('not_found', { cause: error });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) return new Problem('malformed_request', { cause: error });
  return new Problem('internal_error', { cause: error });
}

/** Says where and what, without repeating anything that the client sent: an unknown member is not named. */
function memberFault({ instancePath, keyword, params, message }: FastifySchemaValidationError): MemberFault {
  const missing = keyword === 'required' ? `/${String(params['missingProperty'])}` : '';
  return { pointer: `${instancePath}${missing}`, code: keyword, message: faultMessage(keyword, message) };
}

function faultMessage(keyword: string, message: string | undefined): string {
  if (keyword === 'required') return 'is required';
  if (keyword === 'additionalProperties') return 'has a member that is not known here';
  return message ?? 'is not valid';
}
