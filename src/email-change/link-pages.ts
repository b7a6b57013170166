import type { FastifyInstance } from 'fastify';
import { createLinkPages } from '../pages/link-pages.ts';
import type { Services } from '../services.ts';
import { confirmEmailChange, requireFormerOwner, requireTokenOwner } from './confirm-change.ts';
import { resendEmailChange } from './resend-change.ts';

/** The pages of the link to a new address. */
export function emailChangePages(app: FastifyInstance, services: Services) {
  return createLinkPages(app, services, {
    path: '/auth/email/confirm',
    ask: 'change_email',
    askPassword: 'change_email_with_password',
    // As for confirmation: the new address has been.
    appStatus: (kind) => (kind === 'email_changed' ? 'confirmed' : undefined),
    addressOf: ({ pendingEmail, email }) => pendingEmail ?? email,
    acceptsBareLink: false,
    requireOwner: (token) => requireTokenOwner(services, token),
    requireFormerOwner: (token) => requireFormerOwner(services, token),
    async settle(owner, origin) {
      return { user: await confirmEmailChange(services, owner, origin), kind: 'email_changed' };
    },
    resend: (userId, origin) => resendEmailChange(services, userId, origin),
  });
}
