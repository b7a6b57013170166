import { inLargestUnit, type MailWords } from './words.ts';

export const en: MailWords = {
  greeting: 'Hello,',
  linkIntroduction: 'If the button does not work, copy this address into your browser:',
  disown: 'This was not me: cancel the account',
  disownIntroduction: 'To cancel the account, open this address:',
  noReply: 'This is an automatic message. Replies to this address are not monitored.',
  duration(seconds) {
    const [amount, unit] = inLargestUnit(seconds);
    return `${amount} ${unit}${amount === 1 ? '' : 's'}`;
  },
  mails: {
    confirmation: ({ service, lifetime }) => ({
      subject: `Confirm your e-mail address for ${service}`,
      paragraphs: [`Please confirm that this is your e-mail address, to finish setting up your ${service} account.`],
      button: 'Confirm e-mail address',
      afterButton: [`The link works for ${lifetime}. Open it in the browser that you are logged in with, or enter your password there.`],
      reason: `You get this mail because somebody entered this address when registering for ${service}. If that was not you, you need not do anything: without your confirmation the account stays closed.`,
    }),
    password_reset: ({ service, lifetime }) => ({
      subject: `Set a new password for ${service}`,
      paragraphs: [`With this link you can set a new password for your ${service} account. Until then the old one stays in force.`],
      button: 'Set a new password',
      afterButton: [`The link works once, for ${lifetime}. Afterwards you have to log in again everywhere.`],
      reason: `You get this mail because somebody asked for a new password for the ${service} account with this address. If that was not you, ignore it: nothing has changed.`,
    }),
    password_changed: ({ service }) => ({
      subject: `Your ${service} password was changed`,
      paragraphs: [
        `The password of your ${service} account has just been changed, and other devices have been logged out.`,
        'If that was not you, somebody else knows your password or reads your mails: make sure that only you can read them, then set a new password with "Forgot password".',
      ],
      reason: `You get this mail because it concerns the safety of your ${service} account.`,
    }),
    email_change: ({ service, lifetime }) => ({
      subject: `Confirm your new e-mail address for ${service}`,
      paragraphs: [
        `Please confirm that this is to be the new e-mail address of your ${service} account. Until then the old one stays in force.`,
      ],
      button: 'Confirm new address',
      afterButton: [
        `The link works once, for ${lifetime}. Open it in the browser that you are logged in with, or enter your password there.`,
      ],
      reason: `You get this mail because somebody entered this address as the new one of a ${service} account. If that was not you, ignore it: nothing will change.`,
    }),
    email_change_requested: ({ service }) => ({
      subject: `A new e-mail address was entered for your ${service} account`,
      paragraphs: [
        `Somebody who knows the password of your ${service} account has asked to give it another e-mail address. That happens as soon as the new address is confirmed; until then this one stays in force.`,
        'If that was not you, change your password now: that voids the request.',
      ],
      reason: `You get this mail because it concerns the safety of your ${service} account.`,
    }),
    email_changed: ({ service }) => ({
      subject: `The e-mail address of your ${service} account was changed`,
      paragraphs: [
        `Your ${service} account now has another e-mail address. This one no longer belongs to it, and gets no more mails about it.`,
        `If that was not you, please get in touch with those who run ${service}.`,
      ],
      reason: `You get this mail because this was the address of a ${service} account until now.`,
    }),
    registration_attempt: ({ service }) => ({
      subject: `Somebody tried to register for ${service} with your address`,
      paragraphs: [
        `Somebody tried to open a ${service} account with this address. You already have one, so nothing has changed.`,
        'If that was you, just log in; with "Forgot password" you can set a new password. If it was not, you need not do anything.',
      ],
      reason: `You get this mail, at most once a day, because your address belongs to a ${service} account.`,
    }),
  },
};
