import t from 'tap';
import { mailKinds } from '../../src/db/kinds.ts';
import { languageOf, languages, preferredLanguage } from '../../src/mail/words/index.ts';
import { newDetails, register } from '../support/person.ts';
import { startService } from '../support/service.ts';

t.test('durations are said in the largest unit that measures them', async (t) => {
  const spoken = (seconds: number) => [languages.en.duration(seconds), languages.de.duration(seconds)];
  t.strictSame(spoken(1), ['1 second', 'eine Sekunde']);
  t.strictSame(spoken(90), ['90 seconds', '90 Sekunden']);
  t.strictSame(spoken(60), ['1 minute', 'eine Minute']);
  t.strictSame(spoken(5400), ['90 minutes', '90 Minuten']);
  t.strictSame(spoken(3600), ['1 hour', 'eine Stunde']);
  t.strictSame(spoken(86_400), ['1 day', 'einen Tag']);
  t.strictSame(spoken(7 * 86_400), ['7 days', '7 Tage']);
});

t.test('the languages say the same of every mail, each in its own words', async (t) => {
  const facts = { service: 'Latchkey', lifetime: 'LIFETIME' };
  for (const kind of mailKinds) {
    const [en, de] = [languages.en.mails[kind](facts), languages.de.mails[kind](facts)];
    t.strictSame(Object.keys(en), Object.keys(de), kind);
    t.equal(en.paragraphs.length, de.paragraphs.length, kind);
    for (const [name, text] of Object.entries(en)) t.notSame(text, de[name as keyof typeof de], `${kind}.${name}`);
    t.equal(JSON.stringify(en).split('LIFETIME').length, JSON.stringify(de).split('LIFETIME').length, `${kind}: the lifetime`);
  }
});

t.test('a language tag finds its language, and what there is not is English', async (t) => {
  const found = ['de', 'DE', 'de-AT', 'de-Latn-1996', 'en', 'en-GB', 'fr', 'deu', '', '*', 'constructor', '__proto__', null].map(
    languageOf,
  );
  t.strictSame(found, ['de', 'de', 'de', 'de', 'en', 'en', 'en', 'en', 'en', 'en', 'en', 'en', 'en']);
});

t.test('the language that a client prefers', async (t) => {
  const expected = {
    de: 'de',
    'de-CH, en;q=0.9': 'de',
    'en, de': 'en',
    'en;q=0.5, de;q=0.8': 'de',
    'en ; Q=0.5 , DE ; q=0.50001': 'de',
    'fr-CH, fr;q=0.9, de;q=0.7, en;q=0.8, *;q=0.5': 'en',
    'de;q=0, en;q=0.1': 'en',
    'de;q=0.000': undefined,
    'fr, *': undefined,
    '': undefined,
    ';;;,,,=;q=,q=1': undefined,
    'constructor, __proto__, toString': undefined,
    'en;q=NaN, de;q=0.1': 'de',
    'en;q=1.1.1, de;q=0.1': 'de',
    'en;q=7, de;q=1': 'de',
    'en;q=-1, de;q=0.1': 'de',
    'en;level=1;q=0.3, de;q=0.4': 'de',
  };
  for (const [header, language] of Object.entries(expected)) t.equal(preferredLanguage(header), language, header);
  t.equal(preferredLanguage(undefined), undefined);
});

t.test('a header of 10 KB is read in no time', async (t) => {
  const size = 10_240;
  const headers = [
    ','.repeat(size),
    ';'.repeat(size),
    ' '.repeat(size),
    `de;${' '.repeat(size)}q`,
    `de;q=${'1'.repeat(size)}x`,
    `de;q=1${' '.repeat(size)}x`,
    `de${' '.repeat(size / 2)};${' '.repeat(size / 2)}x`,
    `de;q=${'.'.repeat(size)}`,
    'de;q=0.1,'.repeat(size / 8),
    `${'a-'.repeat(size / 2)};q=1`,
  ];
  for (const header of headers) {
    const durations = Array.from({ length: 10 }, () => {
      const start = performance.now();
      preferredLanguage(header);
      return performance.now() - start;
    });
    const milliseconds = Math.min(...durations);
    t.ok(milliseconds < 20, `${milliseconds} ms for ${header.slice(0, 12)}…`);
  }
});

t.test('a mail is in the language of the registration, else in that of the browser, else in English', async (t) => {
  const service = await startService(t);
  const subjectFor = async (locale?: string, acceptLanguage?: string) => {
    const details = { ...newDetails(), ...(locale !== undefined && { locale }) };
    const headers = acceptLanguage === undefined ? {} : { 'accept-language': acceptLanguage };
    const answer = await service.post('/auth/register', details, { headers });
    t.equal(answer.status, 201);
    return (await service.mailServer.mailTo(details.email)).subject;
  };
  const [english, german] = ['Confirm your e-mail address for Latchkey', 'Bestätigen Sie Ihre E-Mail-Adresse für Latchkey'];
  t.equal(await subjectFor('de-AT', 'en'), german);
  t.equal(await subjectFor('en', 'de'), english);
  t.equal(await subjectFor(undefined, 'fr, de;q=0.5'), german);
  t.equal(await subjectFor(undefined, 'fr'), english);
  t.equal(await subjectFor(), english);
  const { email } = await register(service);
  const { text } = await service.mailServer.mailTo(email);
  t.match(text, /The link works for 1 hour\./);
});
