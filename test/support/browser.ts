import { existsSync } from 'node:fs';
import { type BrowserContext, type BrowserContextOptions, chromium } from 'playwright-core';
import type { Test } from 'tap';

const executablePath = '/usr/bin/chromium';

/** Why a test that needs a browser is left out; false when it is not. In CI there always is one. */
export const noBrowser = existsSync(executablePath) || process.env['CI'] !== undefined ? false : `there is no browser at ${executablePath}`;

/** Starts a real browser for as long as the test runs. */
export async function startBrowser(t: Test) {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
  t.teardown(() => browser.close());
  /** Somebody's device: cookies of its own, and English spoken, unless it says otherwise. */
  const device = (options: BrowserContextOptions = {}): Promise<BrowserContext> => browser.newContext({ locale: 'en-US', ...options });
  return { device };
}
