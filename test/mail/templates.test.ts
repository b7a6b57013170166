import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { buildApp } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { type MailKind, mailKinds } from '../../src/db/kinds.ts';
import { mailKindRules } from '../../src/mail/mail-kinds.ts';
import { loadMailTemplates } from '../../src/mail/templates.ts';
import { languages } from '../../src/mail/words/index.ts';
import { ManualClock } from '../support/clock.ts';
import { createDatabase } from '../support/database.ts';

const link = 'https://example.com/confirm?token=abc.def_g-h&lang=x';
const escapedLink = 'https://example.com/confirm?token=abc.def_g-h&amp;lang=x';
const allMails = mailKinds.flatMap((kind) =>
  (Object.keys(languages) as (keyof typeof languages)[]).map((language) => ({ kind, language })),
);
const viewOf = (kind: MailKind, language: keyof typeof languages, service = 'Latchkey') => ({
  service,
  language,
  link: mailKindRules[kind].purpose === undefined ? undefined : link,
  linkLifetimeSeconds: 3600,
});

/** A directory of an operator's own templates. */
async function templatesIn(t: Test, files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-test-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
  return directory;
}

t.test('every mail in every language', async (t) => {
  const templates = loadMailTemplates();
  for (const { kind, language } of allMails) {
    const { subject, text, html } = templates.render(kind, viewOf(kind, language));
    const name = `${kind} (${language})`;
    const words = languages[language];
    const { paragraphs, reason, button, afterButton = [] } = words.mails[kind]({ service: 'Latchkey', lifetime: words.duration(3600) });
    t.match(subject, /^\S.{10,75}$/, `${name}: ${subject}`);
    t.equal(html.includes(`<html lang="${language}">`), true);
    const spoken = [words.greeting, ...paragraphs, ...afterButton, reason, words.noReply];
    const inHtml = html.replaceAll('&quot;', '"').replaceAll('&#39;', "'");
    for (const part of spoken) t.ok(text.includes(part) && inHtml.includes(part), `${name}: ${part.slice(0, 40)}`);
    t.notMatch(text + html, /undefined|null|\[object|\{token|<%|\{\{/, name);
    t.notMatch(html, /\bsrc=|url\(|<link|<script|<img|<iframe|@import|\bon\w+=/i, `${name} has no remote content and no scripts`);
    t.notMatch(text, /[<>]|&\w+;/, `${name}: the text is plain`);
    t.notMatch(text, /\n{4,}|^\s|\S\n\S/, `${name}: paragraphs are apart`);

    const hasLink = mailKindRules[kind].purpose !== undefined;
    t.strictSame(text.match(/\bhttps?:\S+/g) ?? [], hasLink ? [link] : []);
    const targets = [...html.matchAll(/<a\b[^>]*href="([^"]*)"[^>]*>([^<]*)<\/a>/g)].map(([, href, shown]) => [href, shown]);
    t.strictSame(
      targets,
      hasLink
        ? [
            [escapedLink, button],
            [escapedLink, escapedLink],
          ]
        : [],
      `${name}: a button, and the plain link, and no other`,
    );
    if (hasLink) t.ok(text.includes(words.duration(3600)), `${name} says how long the link works`);
  }
});

t.test('a name stays a name in all mails', async (t) => {
  const service = `<b>Tom</b> & "Jerry's" <img src=x onerror=alert(1)>`;
  const templates = loadMailTemplates();
  for (const { kind, language } of allMails) {
    const { subject, text, html } = templates.render(kind, viewOf(kind, language, service));
    t.ok(subject.includes(service) && text.includes(service));
    t.notMatch(html, /<b>|<img|"Jerry/);
    t.match(html, /&lt;b&gt;Tom&lt;\/b&gt; &amp; &quot;Jerry&#39;s&quot; &lt;img src=x/);
  }
});

t.test('templates of an operator', async (t) => {
  t.test('replace those of all mails, or of one kind, part by part', async (t) => {
    const directory = await templatesIn(t, {
      'mail.text.eta': 'To all of <%= it.service %>: <%= it.text.paragraphs[0] %> <%= it.link ?? "" %>',
      'confirmation.html.eta': '<p>Own <%= it.service %></p><a href="<%= it.link %>"><%= it.text.button %></a>',
      'README.md': 'Not a template.',
    });
    const own = loadMailTemplates(directory);
    const builtIn = loadMailTemplates();
    const view = viewOf('confirmation', 'en', 'A & B');
    t.strictSame(own.render('confirmation', view), {
      subject: 'Confirm your e-mail address for A & B',
      html: `<p>Own A &amp; B</p><a href="${escapedLink}">Confirm e-mail address</a>`,
      text: `To all of A & B: Please confirm that this is your e-mail address, to finish setting up your A & B account. ${link}`,
    });
    const reset = viewOf('password_reset', 'de');
    t.match(own.render('password_reset', reset).text, /^To all of Latchkey: Mit diesem Link/);
    t.equal(own.render('password_reset', reset).html, builtIn.render('password_reset', reset).html);
  });

  const broken = {
    'cannot be parsed': [{ 'mail.html.eta': '<% if (it.link) { %> no end' }, /confirmation: /],
    'throws for one kind of mail': [{ 'password_reset.text.eta': '<%= it.link %> <%= it.no.such.thing %>' }, /^ {2}- password_reset: /m],
    'forgets the link': [{ 'confirmation.text.eta': 'Please confirm.' }, /- confirmation \(text\) does not contain it\.link$/m],
    'has a name that is none': [
      { 'conformation.html.eta': '' },
      /- conformation\.html\.eta is no template: there are mail\.html\.eta, .*confirmation\.text\.eta/,
    ],
  } as const;
  for (const [fault, [files, message]] of Object.entries(broken)) {
    t.test(`stop the start when one ${fault}`, async (t) => {
      const directory = await templatesIn(t, files);
      t.throws(() => loadMailTemplates(directory), { name: 'MailTemplateError', message });
      t.throws(() => loadMailTemplates(directory), { message: `The mail templates in ${directory} do not work:\n  - ` });
    });
  }

  t.test('stop the start when there is no such directory', async (t) => {
    t.throws(() => loadMailTemplates('/no/such/directory'), {
      name: 'MailTemplateError',
      message: /^The mail templates in \/no\/such\/directory do not work:\n {2}- the directory cannot be read: ENOENT/,
    });
  });

  t.test('are tried by the service before it listens, all faults at once', async (t) => {
    const env = await createDatabase(t);
    const directory = await templatesIn(t, { 'confirmation.text.eta': 'no link', 'typo.html.eta': '' });
    const start = () => buildApp(loadConfig({ ...env, MAIL_TEMPLATES_DIR: directory, LOG_LEVEL: 'silent' }), { clock: new ManualClock() });
    await t.rejects(start(), { name: 'MailTemplateError', message: /typo\.html\.eta is no template[\s\S]*confirmation \(text\)/ });
    await rm(join(directory, 'typo.html.eta'));
    await writeFile(join(directory, 'confirmation.text.eta'), '<%= it.link %>');
    const app = await start();
    t.teardown(() => app.close());
    t.equal((await app.inject('/health/ready')).statusCode, 200);
  });
});
