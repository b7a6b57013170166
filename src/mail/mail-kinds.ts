import type { Purpose } from '../config.ts';
import type { MailKind } from '../db/kinds.ts';
import type { UserRow } from '../identity/users.ts';
import type { MailRow } from './outbox.ts';

interface MailKindRules {
  /** What its link is good for; none for a notice. */
  readonly purpose?: Purpose;
  /** Whether it has another link, for somebody who has nothing to do with the account. */
  readonly hasDisownLink?: true;
  /** Whether it still makes sense when its turn has come. The account exists, or there would be no mail. */
  readonly isCurrent: (mail: MailRow, user: UserRow) => boolean;
}

const isForOwnAddress = (mail: MailRow, user: UserRow) => user.disabledAt === null && mail.recipient === user.email;
const always = () => true;

/** All mails that there are. Notices of what has happened are always sent: they are meant for whoever did not do it. */
export const mailKindRules: Readonly<Record<MailKind, MailKindRules>> = {
  confirmation: {
    purpose: 'confirmation',
    hasDisownLink: true,
    isCurrent: (mail, user) => isForOwnAddress(mail, user) && user.confirmedAt === null,
  },
  password_reset: { purpose: 'password-reset', isCurrent: isForOwnAddress },
  password_changed: { isCurrent: always },
  email_change: { purpose: 'email-change', isCurrent: (mail, user) => user.disabledAt === null && mail.recipient === user.pendingEmail },
  email_change_requested: { isCurrent: always },
  email_changed: { isCurrent: always },
  registration_attempt: { isCurrent: isForOwnAddress },
};
