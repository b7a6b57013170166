import type { Config, Purpose } from '../config.ts';
import type { Queryable } from '../db/database.ts';
import { findUserById, linkState } from '../identity/users.ts';
import type { ActionTokens } from '../tokens/action-token.ts';
import { mailKindRules } from './mail-kinds.ts';
import type { Message } from './message.ts';
import type { MailRow } from './outbox.ts';
import type { MailTemplates } from './templates.ts';
import { languageOf } from './words/index.ts';

interface ComposerOptions {
  readonly db: Queryable;
  readonly config: Config;
  readonly templates: MailTemplates;
  readonly actionTokens: Readonly<Record<Purpose, ActionTokens>>;
}

/**
 * Makes the message of an outbox row, in the moment before it is sent: the token in its link is minted here, so that
 * it is never stored, and its lifetime begins now.
 *
 * @returns a function that answers undefined for a mail that has become pointless, as {@link mailKindRules} says
 */
export function createComposer({ db, config, templates, actionTokens }: ComposerOptions) {
  return async function compose(mail: MailRow): Promise<Message | undefined> {
    const { purpose, hasDisownLink, isCurrent } = mailKindRules[mail.kind];
    const user = await findUserById(db, mail.userId);
    if (user === undefined || !isCurrent(mail, user)) return undefined;
    const state = purpose && linkState[purpose](user);
    if (mail.state !== null && mail.state !== state) return undefined;
    const linkFor = (each: Purpose) => {
      const token = actionTokens[each].mint(user.id, linkState[each](user));
      return config.mail.links[each].replace('{token}', token);
    };
    const rendered = templates.render(mail.kind, {
      service: config.serviceName,
      language: languageOf(user.locale),
      link: purpose && linkFor(purpose),
      disownLink: hasDisownLink && linkFor('disown'),
      linkLifetimeSeconds: purpose === undefined ? 0 : config.tokens.actionTtlSeconds[purpose],
    });
    return { id: mail.id, to: mail.recipient, ...rendered };
  };
}
