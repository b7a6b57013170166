/** What mails are about. */
export const mailKinds = [
  'confirmation',
  'password_reset',
  'password_changed',
  'email_change',
  'email_change_requested',
  'email_changed',
  'registration_attempt',
] as const;
export type MailKind = (typeof mailKinds)[number];
/** `dropped`: it had become pointless before it was sent. */
export type MailStatus = 'queued' | 'sent' | 'failed' | 'dropped';

/** What can happen to an account. */
export const eventTypes = [
  'registered',
  'registration_attempted',
  'confirmation_requested',
  'confirmed',
  'logged_in',
  'login_failed',
  'logged_out',
  'refresh_reused',
  'session_ended',
  'sessions_ended',
  'password_refused',
  'password_changed',
  'password_reset_requested',
  'password_reset',
  'email_change_requested',
  'email_changed',
  'username_changed',
  'role_changed',
  'disabled',
  'enabled',
  ...mailKinds.flatMap((kind) => [`${kind}_mail_sent`, `${kind}_mail_failed`] as const),
] as const;
export type EventType = (typeof eventTypes)[number];
