import type { PageWords } from './words.ts';

const confirmButton = 'Confirm e-mail address';
const changeButton = 'Confirm the new address';
const mailButton = 'Send another mail';

export const en: PageWords = {
  continue: (service) => `Continue to ${service}`,
  password: 'Password',
  newPassword: 'New password',
  newPasswordConfirmation: 'New password, once more',
  email: 'E-mail address',
  errors: {
    invalid_credentials: 'That is not the password of this account.',
    weak_password:
      'This password is too easy to guess: it is among the commonly used ones, or is made from the account or service name. Choose another one.',
    mismatch: 'The two passwords are not the same.',
    length: (shortest, longest) => `A password has ${shortest} to ${longest} characters.`,
    out_of_date: 'This page was out of date. Please try once more.',
    rate_limited: (wait) => `That was tried too often. Please wait for ${wait}, then try again.`,
    service_unavailable: 'This does not work right now. Please try again in a moment.',
    anything_else: 'This did not work. Please open the link from the mail once more.',
  },
  pages: {
    confirmed: ({ email, service }) => ({
      title: 'Address confirmed',
      paragraphs: [`${email} is confirmed. Your ${service} account is ready.`],
    }),
    already_confirmed: ({ email }) => ({
      title: 'Already confirmed',
      paragraphs: [`${email} was confirmed before. There is nothing left to do.`],
    }),
    confirm: ({ email, service }) => ({
      title: 'Confirm your address',
      paragraphs: [`Press the button to confirm that ${email} is the address of your ${service} account.`],
      button: confirmButton,
    }),
    confirm_with_password: ({ email, service }) => ({
      title: 'Confirm your address',
      paragraphs: [`You are not logged in here. To confirm ${email}, enter the password of your ${service} account.`],
      button: confirmButton,
    }),
    email_changed: ({ email, service }) => ({
      title: 'Address changed',
      paragraphs: [`${email} is now the address of your ${service} account.`],
    }),
    change_email: ({ email, service }) => ({
      title: 'Confirm your new address',
      paragraphs: [`Press the button to make ${email} the address of your ${service} account.`],
      button: changeButton,
    }),
    change_email_with_password: ({ email, service }) => ({
      title: 'Confirm your new address',
      paragraphs: [`You are not logged in here. To make ${email} the address of your ${service} account, enter its password.`],
      button: changeButton,
    }),
    wrong_account: ({ username }) => ({
      title: 'This link is for another account',
      paragraphs: [`You are logged in as ${username}, and nothing has been changed. Log out to go on with the account of the link.`],
      button: 'Log out and try again',
    }),
    expired: ({ email }) => ({
      title: 'This link has expired',
      paragraphs: [`It was not opened in time. We can send another one to ${email}.`],
      button: mailButton,
    }),
    expired_with_password: ({ email }) => ({
      title: 'This link has expired',
      paragraphs: [`It was not opened in time. Enter the password of the account, and we send another one to ${email}.`],
      button: mailButton,
    }),
    used: () => ({
      title: 'This link no longer works',
      paragraphs: ['It has been used, a newer one was asked for, or the password or address of the account has been changed since.'],
    }),
    invalid: () => ({
      title: 'This link does not work',
      paragraphs: ['It may be incomplete, or the account may have another address by now. Try to copy the whole link from the mail.'],
    }),
    email_taken: ({ email }) => ({
      title: 'This address is taken',
      paragraphs: [`Another account has the address ${email} by now. Yours keeps the one that it has.`],
    }),
    mail_sent: ({ email }) => ({
      title: 'A mail is on its way',
      paragraphs: [`Please look into the mailbox of ${email}, and open the link in the newest mail.`],
    }),
    reset: ({ email, service }) => ({
      title: 'Set a new password',
      paragraphs: [`For your ${service} account with the address ${email}. Afterwards you have to log in again everywhere.`],
      button: 'Set the new password',
    }),
    reset_expired: ({ email }) => ({
      title: 'This link has expired',
      paragraphs: [`It was not used in time. We can send another one to ${email}.`],
      button: mailButton,
    }),
    reset_used: ({ service }) => ({
      title: 'This link no longer works',
      paragraphs: [
        'It has been used, or the password or address of the account has been changed since.',
        `If you still need a new password, ask for another mail where you log in to ${service}.`,
      ],
    }),
    reset_done: ({ service }) => ({
      title: 'The new password is set',
      paragraphs: [`You have been logged out everywhere. Log in to ${service} with the new password.`],
    }),
    disown: ({ email, service }) => ({
      title: 'Was this not you?',
      paragraphs: [
        `Somebody opened a ${service} account with the address ${email}, and it has not been confirmed.`,
        'If that was not you, cancel the account. For a day, nobody can have another confirmation mail sent to this address.',
      ],
      button: 'Cancel the account',
    }),
    disowned: ({ email, service }) => ({
      title: 'The account is cancelled',
      paragraphs: [`There is no ${service} account with the address ${email} any more. You need not do anything else.`],
    }),
    disown_confirmed: () => ({
      title: 'The account is confirmed',
      paragraphs: ['Somebody who reads the mails to this address has confirmed the account, so that it cannot be cancelled here.'],
    }),
    failed: () => ({ title: 'That did not work', paragraphs: [] }),
  },
};
