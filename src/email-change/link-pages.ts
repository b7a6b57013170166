import type { FastifyInstance } from 'fastify';
import { findUserById, linkState, type UserRow } from '../identity/users.ts';
import { createLinkPages } from '../pages/link-pages.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import { confirmEmailChange, requireTokenOwner } from './confirm-change.ts';
import { resendEmailChange } from './resend-change.ts';

/** The pages of the link to a new address. */
export function emailChangePages(app: FastifyInstance, services: Services) {
  const tokens = services.actionTokens['email-change'];

  async function requireFormerOwner(token: string): Promise<UserRow> {
    const claims = tokens.peek(token);
    const user = await findUserById(services.db, claims.sub);
    if (user === undefined) throw new Problem('invalid_token');
    if (user.disabledAt !== null || !tokens.isSignedOver(claims, linkState['email-change'](user))) throw new Problem('used_token');
    return user;
  }

  return createLinkPages(app, services, {
    path: '/auth/email/confirm',
    ask: 'change_email',
    askPassword: 'change_email_with_password',
    appStatus: () => undefined,
    addressOf: ({ pendingEmail, email }) => pendingEmail ?? email,
    acceptsBareLink: false,
    requireOwner: (token) => requireTokenOwner(services, token),
    requireFormerOwner,
    async settle(owner, origin) {
      return { user: await confirmEmailChange(services, owner, origin), kind: 'email_changed' };
    },
    resend: (userId, origin) => resendEmailChange(services, userId, origin),
  });
}
