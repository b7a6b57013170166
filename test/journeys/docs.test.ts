import type { Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { noBrowser, startBrowser } from '../support/browser.ts';
import { startService } from '../support/service.ts';

interface Shown {
  readonly status: number;
  /** What is shown of the body, read as JSON. */
  readonly body: Record<string, unknown>;
}

interface Input {
  /** Which of the named examples is taken. */
  readonly example?: string;
  /** What is put in the place of a member of the example. */
  readonly paste?: Readonly<Record<string, string>>;
  /** What is typed into the fields of parameters. */
  readonly parameters?: Readonly<Record<string, string>>;
}

/** A newcomer in front of the page. It is not at PUBLIC_URL, which names another port, and `localhost`. */
async function openDocs(t: Test) {
  const service = await startService(t, { SMTP_URL: '' });
  const origin = await service.listen();
  const { device } = await startBrowser(t);
  const context = await device();
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', ({ message }) => complaints.push(message));
  page.on('requestfailed', (request) => complaints.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith('data:')) complaints.push(`it asks ${request.url()}`);
  });
  page.on('console', (message) => {
    const isRefusal = /the server responded with a status of 40[13]/.test(message.text());
    if (['error', 'warning'].includes(message.type()) && !isRefusal) complaints.push(message.text());
  });
  await page.goto(`${origin}/docs`);
  await page.locator('.opblock').first().waitFor();
  return { page, context, origin, complaints };
}

/** Opens an operation, executes it with its examples as they are, but for the input, and reads what the page then shows. */
async function execute(page: Page, operationId: string, { example, paste = {}, parameters = {} }: Input = {}): Promise<Shown> {
  const block = page.locator(`.opblock[id$="-${operationId}"]`);
  const button = block.locator('button.execute');
  if (!(await button.isVisible())) await block.locator('.opblock-summary-control').click();
  await button.waitFor();
  if (example !== undefined) await block.locator('.opblock-section-request-body select.examples-select-element').selectOption(example);
  for (const [name, value] of Object.entries(parameters)) await block.locator(`tr[data-param-name="${name}"] input`).fill(value);
  if (Object.keys(paste).length > 0) {
    const body = block.locator('.opblock-section-request-body textarea');
    await body.fill(JSON.stringify({ ...JSON.parse(await body.inputValue()), ...paste }));
  }
  const clear = block.locator('button.btn-clear');
  if (await clear.isVisible()) await clear.click();
  await button.click();
  const answer = block.locator('.live-responses-table tbody');
  await answer.waitFor();
  const status = Number.parseInt((await answer.locator('.response-col_status').innerText()).trim(), 10);
  const text = await answer.locator('.response-col_description .microlight, .response-col_description pre').first().innerText();
  // What is open is drawn anew with every step.
  await block.locator('.opblock-summary-control').click();
  await answer.waitFor({ state: 'hidden' });
  return { status, body: status === 204 ? {} : JSON.parse(text) };
}

async function authorize(page: Page, token: string): Promise<void> {
  await page.locator('button.authorize').first().click();
  const dialog = page.locator('.modal-ux');
  // Where one types at once: into the field of the token.
  await dialog.locator('#auth-bearer-value:focus').waitFor();
  await page.keyboard.insertText(token);
  await page.keyboard.press('Enter');
  await dialog.locator('.close-modal').click();
}

async function readToken(page: Page): Promise<string> {
  const { body } = await execute(page, 'listMails', { parameters: { wait: '30' } });
  const [{ links }] = body['mails'] as [{ links: string[] }];
  return links.find((link) => link.includes('/auth/confirm/'))?.split('/auth/confirm/')[1] ?? '';
}

const codeOf = ({ status, body }: Shown) => [status, body['code']];
const unconfirmed = [403, 'unconfirmed'];
const unauthenticated = [401, 'unauthenticated'];

t.test(
  'a newcomer goes through the whole story on the documentation page, with its examples as they are',
  { skip: noBrowser },
  async (t) => {
    const { page, complaints } = await openDocs(t);
    const steps = await page.locator('.info .description ol > li').allInnerTexts();
    t.match(steps, [/^Register/, /^Log in/, /^Be kept out/, /^Read the mail/, /^Confirm/, /^Be let in/, /^Refresh/, /^Change/, /^Log out/]);

    t.match(await execute(page, 'register'), { status: 201, body: { user: { confirmed: false } } });
    t.strictSame(codeOf(await execute(page, 'getSecret')), unauthenticated);
    const login = await execute(page, 'login');
    t.equal(login.status, 200);
    await authorize(page, String(login.body['accessToken']));
    t.strictSame(codeOf(await execute(page, 'getSecret')), unconfirmed);
    const token = await readToken(page);
    t.match(await execute(page, 'confirmByLink', { parameters: { token } }), { status: 200, body: { status: 'confirmed' } });
    t.equal((await execute(page, 'getSecret')).status, 200, 'with the same access token');
    const refreshed = await execute(page, 'refresh', { paste: { refreshToken: String(login.body['refreshToken']) } });
    t.match(refreshed, { status: 200, body: { user: { confirmed: true }, accessToken: String } });
    t.equal((await execute(page, 'changePassword')).status, 204);
    t.equal((await execute(page, 'logout')).status, 204);
    t.strictSame(codeOf(await execute(page, 'getSecret')), unauthenticated);
    t.strictSame(complaints, []);
  },
);

t.test('the same with cookies, which nobody has to copy', { skip: noBrowser }, async (t) => {
  const { page, context, complaints } = await openDocs(t);
  t.equal((await execute(page, 'register')).status, 201);
  const login = await execute(page, 'login', { example: 'cookie' });
  t.match(login, { status: 200, body: { accessToken: undefined, refreshToken: undefined } });
  const cookies = await context.cookies();
  t.match(cookies, [
    { name: 'access', httpOnly: true },
    { name: 'refresh', httpOnly: true },
  ]);
  t.strictSame(codeOf(await execute(page, 'getSecret')), unconfirmed);
  const token = await readToken(page);
  t.equal((await execute(page, 'confirm', { paste: { token } })).status, 200, 'with the token in the body');
  t.equal((await execute(page, 'getSecret')).status, 200);
  t.match(await execute(page, 'refresh', { example: 'cookie' }), { status: 200, body: { user: { confirmed: true } } });
  t.equal((await execute(page, 'logout')).status, 204);
  t.strictSame(await context.cookies(), []);
  t.strictSame(complaints, []);
});
