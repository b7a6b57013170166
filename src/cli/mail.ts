import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { validate as isUuid } from 'uuid';
import { systemClock } from '../clock.ts';
import type { Config, Purpose } from '../config.ts';
import type { Queryable } from '../db/database.ts';
import { type MailKind, mailKinds } from '../db/kinds.ts';
import { openDatabase } from '../db/open.ts';
import { mailKindRules } from '../mail/mail-kinds.ts';
import { queueStatus, retryMail } from '../mail/queue-status.ts';
import { loadMailTemplates } from '../mail/templates.ts';
import { languageOf } from '../mail/words/index.ts';
import { type Command, type Console, parse, UsageError } from './command.ts';

export const mailStatus: Command = {
  usage: 'mail status [--json]',
  purpose: 'what waits in the outbox, and what could not be delivered',
  async run(args, config, console) {
    const { values } = parse(args, { json: { type: 'boolean' } }, 0);
    const status = await withDatabase(config, console, (db) => queueStatus(db, systemClock));
    if (values['json']) return console.say(JSON.stringify(status));
    const { queued, sent, failed, dropped, oldestQueuedSeconds, failures } = status;
    console.say(`queued ${queued}, sent ${sent}, failed ${failed}, dropped ${dropped}`);
    if (oldestQueuedSeconds !== null) console.say(`the oldest has been waiting for ${oldestQueuedSeconds} s`);
    for (const { id, kind, recipient, settledAt, lastError } of failures) {
      console.say(`failed: ${id} ${kind} to ${recipient} at ${settledAt}: ${lastError}`);
    }
  },
};

export const mailRetry: Command = {
  usage: 'mail retry ID',
  purpose: 'put a mail that could not be delivered back into the queue',
  async run(args, config, console) {
    const { words } = parse(args, {}, 1);
    const [id = ''] = words;
    if (!isUuid(id)) throw new UsageError('ID is the id of a mail, as `latchkey mail status` shows it');
    const found = await withDatabase(config, console, (db) => retryMail(db, id, systemClock));
    if (!found) throw new UsageError('there is no failed mail with this id');
    console.say('It is in the queue again.');
  },
};

export const mailPreview: Command = {
  usage: 'mail preview KIND [--locale TAG] [--html]',
  purpose: `show a mail (${mailKinds.join(', ')})`,
  run(args, config, console) {
    const { words, values } = parse(args, { locale: { type: 'string' }, html: { type: 'boolean' } }, 1);
    const kind = mailKinds.find((each) => each === words[0]);
    if (kind === undefined) throw new UsageError(`KIND is one of ${mailKinds.join(', ')}`);
    const { subject, text, html } = preview(config, kind, typeof values['locale'] === 'string' ? values['locale'] : null);
    console.say(values['html'] ? html : `Subject: ${subject}\n\n${text}`);
  },
};

function preview(config: Config, kind: MailKind, locale: string | null) {
  const { purpose, hasDisownLink } = mailKindRules[kind];
  const linkFor = (each: Purpose) => config.mail.links[each].replace('{token}', 'the-token-of-this-mail');
  return loadMailTemplates(config.mail.templatesDir).render(kind, {
    service: config.serviceName,
    language: languageOf(locale),
    link: purpose && linkFor(purpose),
    disownLink: hasDisownLink && linkFor('disown'),
    linkLifetimeSeconds: purpose === undefined ? 0 : config.tokens.actionTtlSeconds[purpose],
  });
}

async function withDatabase<Result>(config: Config, console: Console, work: (db: Queryable) => Promise<Result>): Promise<Result> {
  const { databaseUrl: url, dataDir } = config;
  if (url === undefined && !existsSync(join(dataDir, 'database'))) {
    throw new UsageError(`there is no database in ${dataDir} yet; DATA_DIR or DATABASE_URL names another`);
  }
  const onIdleError = (error: Error) => console.complain(error.message);
  const database = await openDatabase({ url, dataDir, announce: console.complain, onIdleError });
  try {
    return await work(database.db);
  } finally {
    await database.close();
  }
}
