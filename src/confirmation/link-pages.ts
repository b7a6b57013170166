import type { FastifyInstance } from 'fastify';
import { createLinkPages } from '../pages/link-pages.ts';
import type { PageKind } from '../pages/words/words.ts';
import type { Services } from '../services.ts';
import { confirmAddress, requireFormerOwner, requireTokenOwner } from './confirm-address.ts';
import { resendConfirmation } from './confirmation-mails.ts';

/** What an application is told of a link that somebody has followed, in place of a page. */
const appStatuses: Partial<Record<PageKind, string>> = {
  confirmed: 'confirmed',
  already_confirmed: 'already_confirmed',
  expired: 'expired',
  invalid: 'invalid',
};

/** The pages of the confirmation link. */
export function confirmationPages(app: FastifyInstance, services: Services) {
  return createLinkPages(app, services, {
    path: '/auth/confirm',
    ask: 'confirm',
    askPassword: 'confirm_with_password',
    appStatus: (kind) => appStatuses[kind],
    addressOf: ({ email }) => email,
    acceptsBareLink: services.config.confirmPolicy === 'link',
    requireOwner: (token) => requireTokenOwner(services, token),
    requireFormerOwner: (token) => requireFormerOwner(services, token),
    async settle(owner, origin) {
      const { user, status } = await confirmAddress(services, owner, origin);
      return { user, kind: status };
    },
    resend: (userId, origin) => resendConfirmation(services, userId, origin),
  });
}
