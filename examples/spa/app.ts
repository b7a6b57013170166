import { createClient } from '../client/client.ts';
import { askForAnotherMail, awaitedMail, isUnconfirmed } from '../client/unconfirmed.ts';
import { oneTabAtATime, onOtherTab, sharedByTabs } from './browser.ts';
import { awaitConfirmation } from './confirmation.ts';
import { complain, element, isShown, onClick, onSubmit, say, show } from './page.ts';
import { fieldsAtFault, type Problem, unreachable, wordsFor } from './words.ts';

let stopWaiting = () => {};
let resendTimer: number | undefined;

const client = createClient({
  baseUrl: '',
  transport: 'cookie',
  store: sharedByTabs,
  lock: oneTabAtATime,
  onLoggedOut() {
    leave();
    say('You are logged out.');
  },
});
const { api } = client;

onSubmit('register', async ({ email = '', username = '', password = '' }) => {
  const { data, error } = await api.POST('/auth/register', { body: { email, username, password } });
  if (data === undefined) return explain(error);
  await logIn(username, password);
});

onSubmit('login', ({ username = '', password = '', rememberMe }) => logIn(username, password, rememberMe === 'on'));

async function logIn(username: string, password: string, rememberMe = false): Promise<void> {
  const { data, error } = await client.logIn({ username, password, rememberMe });
  if (data === undefined) return explain(error);
  history.replaceState(null, '', '/');
  await enter();
}

for (const button of document.querySelectorAll('.logout')) {
  onClick(button, async () => {
    const { error } = await client.logOut();
    if (error !== undefined) explain(error);
  });
}

onClick(element('ask', HTMLButtonElement), enter);

/** Asks for what only confirmed users get, and shows what comes of it. */
async function enter(): Promise<void> {
  const [{ data, error }, me] = await Promise.all([api.GET('/secret'), api.GET('/auth/me')]);
  if (data === undefined) return explain(error);
  if (me.data === undefined) return explain(me.error);
  // The answers may have come after a logout.
  if (!(await client.isLoggedIn())) return leave();
  element('user', HTMLElement).textContent = me.data.user.username;
  element('secret', HTMLElement).textContent = data.message;
  if (!isShown('home')) show('home');
}

/** Says in words what a problem is; leads to where something can be done about it. */
function explain(problem: Problem): void {
  if (isUnconfirmed(problem)) wait();
  else if (problem.code === 'unauthenticated') leave();
  else complain(wordsFor(problem), fieldsAtFault(problem));
}

function leave(): void {
  stopWaiting();
  clearTimeout(resendTimer);
  element('secret', HTMLElement).textContent = '';
  show(location.hash === '#register' ? 'register' : 'login');
}

/** Shows which mail is awaited, and goes on as soon as its link has been followed. */
function wait(): void {
  show('unconfirmed');
  stopWaiting();
  stopWaiting = awaitConfirmation(api, () => {
    enter().then(
      () => say('Your address is confirmed.'),
      () => complain(unreachable),
    );
  });
  showAwaitedMail().catch(() => {});
}

const states = { queued: 'The mail is on its way.', sent: 'The mail has been sent.', failed: 'The mail could not be delivered.' };

async function showAwaitedMail(): Promise<void> {
  const awaited = await awaitedMail(api);
  if (awaited === undefined || awaited === 'confirmed') return;
  element('address', HTMLElement).textContent = awaited.email;
  element('mail-status', HTMLElement).textContent = states[awaited.mail.status];
  holdBackResend(Date.parse(awaited.resendAvailableAt) - Date.now());
}

const resend = element('resend', HTMLButtonElement);

onClick(resend, async () => {
  const result = await askForAnotherMail(api);
  if (result.outcome === 'confirmed') return enter();
  if (result.outcome === 'failed') return explain(result.problem);
  if (result.outcome === 'sent') say('Another mail is on its way.');
  else complain(`Another mail can be sent in ${result.waitSeconds} seconds.`);
  holdBackResend(result.waitSeconds * 1000);
});

function holdBackResend(forMs: number): void {
  clearTimeout(resendTimer);
  resend.disabled = forMs > 0;
  resendTimer = setTimeout(() => {
    resend.disabled = false;
  }, forMs);
}

onOtherTab(async () => {
  // Tells `onLoggedOut` when it is so.
  const isLoggedIn = await client.isLoggedIn();
  if (isLoggedIn && (isShown('login') || isShown('register'))) await enter().catch(() => complain(unreachable));
});

addEventListener('hashchange', () => {
  if (isShown('login') || isShown('register')) leave();
});

enter().catch(() => {
  leave();
  complain(unreachable);
});
