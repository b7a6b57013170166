import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { languages } from '../../src/mail/words/index.ts';
import { loadPageTemplates, type PageView } from '../../src/pages/templates.ts';
import { pageWords } from '../../src/pages/words/index.ts';
import { type PageKind, pageKinds } from '../../src/pages/words/words.ts';
import { run } from '../support/cli.ts';
import { createDatabase } from '../support/database.ts';
import { openBrowser } from '../support/pages.ts';
import { confirmationPath, register } from '../support/person.ts';
import { startService } from '../support/service.ts';

type Language = keyof typeof languages;
const facts = { service: 'Latchkey', email: 'ada@example.com', username: 'ada' };
const field = { name: 'password', type: 'password', label: 'Password', autocomplete: 'current-password' } as const;
const viewOf = (kind: PageKind, language: Language = 'en', more: Partial<PageView> = {}): PageView => ({
  ...{ kind, language, service: 'Latchkey', stylesheet: '/pages.css', text: pageWords[language].pages[kind](facts) },
  ...more,
});
const form = { action: '/auth/confirm/the.token', proof: 'the-proof', fields: [field] };

/** A directory of an operator's own templates. */
async function templatesIn(t: Test, files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-test-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
  return directory;
}

t.test('every page says the same in every language, in other words', async (t) => {
  const shapeOf = (kind: PageKind, language: Language) => {
    const { title, paragraphs, button } = pageWords[language].pages[kind](facts);
    const spoken = [title, ...paragraphs, button ?? ''].join(' ');
    return {
      paragraphs: paragraphs.length,
      button: button !== undefined,
      names: Object.values(facts).filter((fact) => spoken.includes(fact)),
    };
  };
  for (const kind of pageKinds) {
    const [first, ...others] = (Object.keys(languages) as Language[]).map((language) => shapeOf(kind, language));
    for (const other of others) t.strictSame(other, first, kind);
  }
  const texts = (language: Language) => {
    const { continue: lead, password, newPassword, newPasswordConfirmation, email, errors } = pageWords[language];
    const spoken = Object.values(errors).map((error) =>
      typeof error === 'string'
        ? error
        : error.length === 1
          ? (error as (wait: string) => string)('9 s')
          : (error as (from: number, to: number) => string)(8, 128),
    );
    return [lead('Latchkey'), password, newPassword, newPasswordConfirmation, email, ...spoken];
  };
  t.equal(texts('en').length, texts('de').length);
  for (const text of [...texts('en'), ...texts('de')]) t.match(text, /^[A-ZÄÖÜ]\S*(?: \S+)*$/, text);
});

t.test('whatever is named stays a name, in text and in attributes', async (t) => {
  const hostile = `"><script>alert('&')</script>`;
  const page = loadPageTemplates().render(
    viewOf('confirm_with_password', 'en', {
      service: hostile,
      alert: hostile,
      text: { title: hostile, paragraphs: [hostile], button: hostile },
      stylesheet: hostile,
      form: { action: hostile, proof: hostile, fields: [{ ...field, label: hostile, value: hostile, error: hostile }], focus: 'password' },
      link: { href: hostile, label: hostile },
    }),
  );
  t.notMatch(page, /<script|"">|alert\('/);
  t.equal(page.split('&quot;&gt;&lt;script&gt;').length - 1, 15, 'wherever it stands');
});

t.test('templates of an operator', async (t) => {
  const inputs = '<% for (const field of it.form.fields) { %><input name="<%= field.name %>"><% } %>';
  const ownForm = `<% if (it.form) { %><form method="post" action="<%= it.form.action %>"><input name="proof" value="<%= it.form.proof %>">${inputs}</form><% } %>`;

  t.test('replace that of all pages, or of one kind', async (t) => {
    const directory = await templatesIn(t, {
      'page.html.eta': `<p>All of <%= it.service %></p>${ownForm}`,
      'invalid.html.eta': 'Own <%= it.text.title %>',
      'README.md': 'None',
    });
    const own = loadPageTemplates(directory);
    t.equal(own.render(viewOf('used', 'en', { service: 'A & B' })), '<p>All of A &amp; B</p>');
    t.equal(own.render(viewOf('invalid', 'de')), `Own ${pageWords.de.pages.invalid(facts).title}`);
    t.match(own.render(viewOf('confirm', 'en', { form })), 'action="/auth/confirm/the.token"');
    const one = loadPageTemplates(await templatesIn(t, { 'invalid.html.eta': 'Own' }));
    t.equal(one.render(viewOf('invalid')), 'Own');
    t.equal(one.render(viewOf('used')), loadPageTemplates().render(viewOf('used')), 'the others are built in');
  });

  const broken = {
    'cannot be parsed': [{ 'page.html.eta': '<% if (it.form) { %> no end' }, /- confirmed: /],
    'throws for one kind of page': [{ 'invalid.html.eta': '<%= it.no.such.thing %>' }, /^ {2}- invalid: /m],
    'forgets where its form is sent': [
      { 'confirm.html.eta': `<%= it.form.proof %>${inputs}` },
      /- confirm does not contain \/the\/action of it\.form$/m,
    ],
    'forgets the proof of its form': [
      { 'disown.html.eta': `<%= it.form.action %>${inputs}` },
      /- disown does not contain the-proof of it\.form$/m,
    ],
    'forgets an input of its form': [
      { 'reset.html.eta': '<%= it.form.action %> <%= it.form.proof %>' },
      /- reset does not contain name="password" of it\.form$/m,
    ],
    'has no form at all': [{ 'page.html.eta': 'Hello' }, /- wrong_account does not contain/],
    'has a name that is none': [
      { 'conform.html.eta': '' },
      /- conform\.html\.eta is no template: there are page\.html\.eta, .*disown\.html\.eta/,
    ],
    'is named as that of a mail': [{ 'page.text.eta': '' }, /- page\.text\.eta is no template/],
  } as const;
  for (const [fault, [files, message]] of Object.entries(broken)) {
    t.test(`stop the start when one ${fault}`, async (t) => {
      const directory = await templatesIn(t, files);
      t.throws(() => loadPageTemplates(directory), { name: 'PageTemplateError', message });
      t.throws(() => loadPageTemplates(directory), { message: `The page templates in ${directory} do not work:\n  - ` });
    });
  }

  t.test('stop the start when there is no such directory', async (t) => {
    const message = /^The page templates in \/no\/such\/directory do not work:\n {2}- the directory cannot be read: ENOENT/;
    t.throws(() => loadPageTemplates('/no/such/directory'), { name: 'PageTemplateError', message });
  });

  t.test('are tried by the service before it listens, all faults at once, in words for the operator', async (t) => {
    const directory = await templatesIn(t, { 'confirm.html.eta': 'no form', 'typo.html.eta': '' });
    const env = { ...(await createDatabase(t)), PAGES_DIR: directory, LOG_LEVEL: 'silent', PORT: '1' };
    const { status, said, complaints } = await run('serve', env);
    t.equal(status, 1);
    t.equal(said, '');
    t.match(
      complaints,
      new RegExp(`^The page templates in ${directory} do not work:\\n  - typo\\.html\\.eta is no template: .*\\n  - confirm does not`),
    );
    t.notMatch(complaints, /\n\s+at /, 'without a stack');
  });

  t.test('are what people see', async (t) => {
    const directory = await templatesIn(t, {
      'invalid.html.eta': '<body data-page="mine"><%= it.service %>',
      'confirm_with_password.html.eta': `<body data-page="own">${ownForm}`,
    });
    const service = await startService(t, { PAGES_DIR: directory, SERVICE_NAME: 'A & B' });
    const browser = openBrowser(service);
    const invalid = await browser.go('/auth/confirm/x');
    t.match(invalid, {
      status: 400,
      text: '<body data-page="mine">A &amp; B',
      headers: { 'content-security-policy': /^default-src 'none'; style-src 'self'/ },
    });
    const ada = await register(service);
    const page = await browser.go(await confirmationPath(service, ada));
    t.match(page, { status: 401, kind: 'own' });
    t.match(await browser.submit(page, { password: ada.password }), { status: 200, kind: 'confirmed' }, 'with the rest built in');
  });
});
