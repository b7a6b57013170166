/** What a client is told about one kind of problem, whatever the occasion. */
interface ProblemType {
  readonly status: number;
  readonly title: string;
  /** The default `detail`: what happened and what to do about it. */
  readonly detail: string;
}

/**
 * Every problem that the service answers with, by its stable code.
 *
 * `GET /problems/{code}` and the OpenAPI document are made from this list, and nothing outside it is ever sent.
 */
export const catalogue = {
  malformed_request: {
    status: 400,
    title: 'Malformed request',
    detail: 'The request could not be read: it must be well-formed HTTP with a well-formed JSON body, each member named once.',
  },
  validation_failed: {
    status: 400,
    title: 'Validation failed',
    detail: 'One or more members are missing, unknown or not of the required form. See errors.',
  },
  invalid_token: {
    status: 400,
    title: 'Invalid token',
    detail: 'The token is not one of this service, is for another purpose, or is for an address that the account no longer has.',
  },
  weak_password: {
    status: 400,
    title: 'Weak password',
    detail: 'The password is too easy to guess: it is among the commonly used ones, or is made from the account or service name.',
  },
  ambiguous_credentials: {
    status: 400,
    title: 'Ambiguous credentials',
    detail: 'The request carries two different credentials. Send one.',
  },
  unauthenticated: {
    status: 401,
    title: 'Not logged in',
    detail: 'The request needs a live session. Log in, or refresh the session, and send its access token.',
  },
  invalid_credentials: {
    status: 401,
    title: 'Invalid credentials',
    detail: 'No account can be logged in to with this name and password.',
  },
  invalid_refresh_token: {
    status: 401,
    title: 'Invalid refresh token',
    detail: 'The refresh token is not genuine, has been used before, or its session is over. Log in again.',
  },
  unconfirmed: {
    status: 403,
    title: 'Email address not confirmed',
    detail: 'Follow the link in the confirmation mail first. Another mail can be asked for.',
  },
  wrong_account: {
    status: 403,
    title: 'Wrong account',
    detail: 'The link belongs to another account than the one that is logged in.',
  },
  wrong_password: {
    status: 403,
    title: 'Wrong password',
    detail: 'The current password is another one.',
  },
  forbidden: {
    status: 403,
    title: 'Forbidden',
    detail: 'The account does not have the role that this needs.',
  },
  cross_origin_rejected: {
    status: 403,
    title: 'Cross-origin request rejected',
    detail:
      'Cookies count only for requests from this site or from an origin that is allowed. Send an Origin header, or use a bearer token.',
  },
  not_found: {
    status: 404,
    title: 'Not found',
    detail: 'There is nothing at this address.',
  },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    detail: 'This address does not answer to that method. See the Allow header.',
  },
  email_taken: {
    status: 409,
    title: 'Email address taken',
    detail: 'An account with this e-mail address exists. Log in, or reset its password.',
  },
  username_taken: {
    status: 409,
    title: 'User name taken',
    detail: 'An account with this user name exists. Choose another.',
  },
  already_confirmed: {
    status: 409,
    title: 'Already confirmed',
    detail: 'The address of this account is confirmed; there is nothing left to do.',
  },
  last_administrator: {
    status: 409,
    title: 'Last administrator',
    detail: 'There must always be an administrator: make another one first.',
  },
  expired_token: {
    status: 410,
    title: 'Expired token',
    detail: 'The time in which this link could be used is over. Ask for another mail.',
  },
  used_token: {
    status: 410,
    title: 'Used token',
    detail: 'This link has been used, or the password or address of the account has been changed since it was sent. Ask for another mail.',
  },
  payload_too_large: {
    status: 413,
    title: 'Payload too large',
    detail: 'The body is larger than 16 KiB.',
  },
  uri_too_long: {
    status: 414,
    title: 'URI too long',
    detail: 'The address is longer than this service reads.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    detail: 'Send the body as application/json, in UTF-8.',
  },
  rate_limited: {
    status: 429,
    title: 'Too many requests',
    detail: 'Wait as long as Retry-After says, then try again.',
  },
  headers_too_large: {
    status: 431,
    title: 'Headers too large',
    detail: 'The request headers are larger than this service reads.',
  },
  internal_error: {
    status: 500,
    title: 'Internal error',
    detail: 'Something went wrong on our side. It has been logged under the id in the X-Request-Id header.',
  },
  bad_gateway: {
    status: 502,
    title: 'Bad gateway',
    detail: 'The application behind this service gave no answer. Try again later.',
  },
  gateway_timeout: {
    status: 504,
    title: 'Gateway timeout',
    detail: 'The application behind this service did not answer in time. Try again later.',
  },
  service_unavailable: {
    status: 503,
    title: 'Service unavailable',
    detail: 'The service cannot answer this right now. Wait as long as Retry-After says, then try again.',
  },
} as const satisfies Record<string, ProblemType>;

export type ProblemCode = keyof typeof catalogue;

/** Tells whether a text is the code of a known problem. */
export function isProblemCode(text: string): text is ProblemCode {
  return Object.hasOwn(catalogue, text);
}
