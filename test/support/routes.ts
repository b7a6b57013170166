/** The methods that some route might answer to; a test client can send each. */
export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';
export const methods: readonly Method[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Who else than the confirmed may use what, as the contract says. A route that is opened must be entered here, or tests refuse it. */
export const open = {
  public: [
    'GET /.well-known/jwks.json',
    'GET /auth/confirm/{token}',
    'GET /auth/disown/{token}',
    'GET /auth/email/confirm/{token}',
    'GET /auth/password/reset/{token}',
    'GET /health/live',
    'GET /health/ready',
    'GET /problems/{code}',
    'POST /auth/confirm',
    'POST /auth/disown',
    'POST /auth/email/confirm',
    'POST /auth/login',
    'POST /auth/password/forgot',
    'POST /auth/password/reset',
    'POST /auth/refresh',
    'POST /auth/register',
  ],
  visitor: ['GET /'],
  session: [
    'DELETE /auth/sessions',
    'DELETE /auth/sessions/{id}',
    'GET /auth/confirm/events',
    'GET /auth/events',
    'GET /auth/me',
    'GET /auth/me/export',
    'GET /auth/sessions',
    'GET /auth/unconfirmed',
    'PATCH /auth/me',
    'POST /auth/confirm/resend',
    'POST /auth/email',
    'POST /auth/logout',
    'POST /auth/me/deletion',
    'PUT /auth/password',
  ],
};
/** Probes may ask for the head alone, which the document need not say. */
export const answerHead = ['/.well-known/jwks.json', '/health/live', '/health/ready'];
/** Forms of the pages, which the document leaves out: they take no JSON, and their pages let in whoever has the token. */
export const takeForms = ['/auth/confirm/{token}', '/auth/disown/{token}', '/auth/email/confirm/{token}', '/auth/password/reset/{token}'];
export const formPaths = [
  ...takeForms,
  ...takeForms.filter((path) => path !== '/auth/disown/{token}').map((path) => `${path}/resend`),
  '/auth/confirm/{token}/logout',
  '/auth/email/confirm/{token}/logout',
];
