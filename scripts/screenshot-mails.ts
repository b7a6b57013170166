// Renders every mail to PNG for looking at, as a mail program with a light or a dark appearance shows it on a narrow or
// a wide screen: `node --import=./scripts/typescript.js scripts/screenshot-mails.ts DIRECTORY`. Needs a Chromium, whose
// path CHROMIUM may name.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { mailKinds } from '../src/db/kinds.ts';
import { mailKindRules } from '../src/mail/mail-kinds.ts';
import { loadMailTemplates } from '../src/mail/templates.ts';
import { type Language, languages } from '../src/mail/words/index.ts';

const [directory] = process.argv.slice(2);
if (directory === undefined) throw new Error('the directory for the pictures is missing');
const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
/** As long as a real link is. */
const link = `https://accounts.example.com/auth/confirm/${'eyJhbGciOiJIUzI1NiIsInR5cCI6'.repeat(11)}`;
const templates = loadMailTemplates(process.env['MAIL_TEMPLATES_DIR']);

async function picture(browser: Browser, folder: string, appearance: { colorScheme: 'light' | 'dark'; width: number }): Promise<void> {
  const { colorScheme, width } = appearance;
  const context = await browser.newContext({ colorScheme, viewport: { width, height: 640 }, javaScriptEnabled: false });
  const page = await context.newPage();
  await page.route('**/*', (route) => route.abort());
  for (const language of Object.keys(languages) as Language[]) {
    for (const kind of mailKinds) {
      const { purpose, hasDisownLink } = mailKindRules[kind];
      const links = { link: purpose && link, disownLink: hasDisownLink && link.replace('confirm', 'disown') };
      const view = { service: 'Latchkey', language, ...links, linkLifetimeSeconds: 3600 };
      await page.setContent(templates.render(kind, view).html);
      const name = `${kind}.${language}.${colorScheme}.${width}.png`;
      await page.screenshot({ path: join(folder, name), fullPage: true });
    }
  }
  await context.close();
}

await mkdir(directory, { recursive: true });
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
try {
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [360, 1280]) await picture(browser, directory, { colorScheme, width });
  }
} finally {
  await browser.close();
}
