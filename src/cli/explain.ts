import { type Explanation, explainUser } from '../administration/explain-user.ts';
import { requireNamedUser } from '../administration/manage-user.ts';
import { type Command, parse } from './command.ts';
import { withServices } from './with-services.ts';

/** For support: why somebody has got no mail, or cannot log in. */
export const explain: Command = {
  usage: 'users explain NAME [--json]',
  purpose: 'the whole story of an account, mail delivery included',
  async run(args, config, console) {
    const { words, values } = parse(args, { json: { type: 'boolean' } }, 1);
    const explanation = await withServices(config, console, async ({ clock, db }) =>
      explainUser(db, await requireNamedUser(db, words[0] as string), clock.now()),
    );
    console.say(values['json'] ? JSON.stringify(explanation) : tell(explanation));
  },
};

function tell({ user, confirmedAt, disabledAt, pendingEmail, pendingEmailSince, sessions, steps, mails }: Explanation): string {
  return [
    `${user.username}  ${user.email}  ${user.role}  ${user.id}`,
    `registered at ${user.createdAt}`,
    confirmedAt === null ? 'the address is not confirmed' : `the address has been confirmed since ${confirmedAt}`,
    ...(disabledAt === null ? [] : [`disabled since ${disabledAt}`]),
    ...(pendingEmail === null ? [] : [`waits for ${pendingEmail} to be confirmed, since ${pendingEmailSince}`]),
    `${sessions} sessions`,
    '',
    'What happened:',
    ...steps.map(({ at, what, ip, userAgent, actorId }) =>
      line(at, what, ip && `from ${ip}`, userAgent && JSON.stringify(userAgent), actorId && `by administrator ${actorId}`),
    ),
    '',
    'Mails:',
    ...mails.map(({ queuedAt, kind, recipient, status, at, attempts, lastError }) =>
      line(
        queuedAt,
        `${kind} to ${recipient}:`,
        status === 'queued' ? `waits, due at ${at}` : `${status} at ${at}`,
        `(${attempts} ${attempts === 1 ? 'attempt' : 'attempts'})`,
        lastError && `last error: ${lastError}`,
      ),
    ),
  ].join('\n');
}

function line(...parts: (string | null)[]): string {
  return `  ${parts.filter(Boolean).join('  ')}`;
}
