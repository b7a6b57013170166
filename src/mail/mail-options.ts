import type { SendMailOptions } from 'nodemailer';
import type { Sender } from '../environment.ts';
import type { Message } from './message.ts';

/**
 * A message in nodemailer's terms. Addresses are objects and the envelope is explicit: nodemailer reads a string
 * generously, and would find two recipients in `a@x;b@y`.
 */
export function mailOptions(message: Message, from: Sender): SendMailOptions {
  const to = { name: '', address: message.to };
  return {
    messageId: `<${message.id}@${from.address.split('@')[1]}>`,
    from: { ...from },
    to: { ...to },
    envelope: { from: { ...from }, to: [{ ...to }] },
    subject: message.subject,
    text: message.text,
    html: message.html,
    // RFC 3834 §5: no out-of-office answers.
    headers: { 'Auto-Submitted': 'auto-generated' },
  };
}
