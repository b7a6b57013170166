import { unreachable } from './words.ts';

/** The sections of the page, of which one is seen. */
export type View = 'login' | 'register' | 'unconfirmed' | 'home';

/** @throws Error when the page has no such element */
export function element<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`the page has no ${kind.name} called ${id}`);
}

/** Shows one section, and tells those who do not see it by moving the focus to its heading. */
export function show(view: View): void {
  say('');
  complain('');
  for (const section of document.querySelectorAll('section')) section.hidden = section.id !== view;
  for (const form of document.forms) form.reset();
  element(view, HTMLElement).querySelector('h1')?.focus();
}

export function isShown(view: View): boolean {
  return !element(view, HTMLElement).hidden;
}

export function say(text: string): void {
  element('status', HTMLElement).textContent = text;
}

/** Says what went wrong, marks the fields at fault, and moves the focus to the first of them. */
export function complain(text: string, fields: readonly string[] = []): void {
  element('problem', HTMLElement).textContent = text;
  for (const input of document.querySelectorAll('input')) input.ariaInvalid = String(fields.includes(input.name));
  document.querySelector<HTMLElement>('section:not([hidden]) [aria-invalid=true]')?.focus();
}

/** Does some work when a form is sent, with what was entered; not twice at once. */
export function onSubmit(view: View, work: (values: Record<string, string>) => Promise<void>): void {
  const form = element(view, HTMLElement).querySelector('form');
  const run = once(work);
  form?.addEventListener('submit', (event) => {
    event.preventDefault();
    run(Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, String(value)])));
  });
}

/** Does some work when a button is pressed; not twice at once. */
export function onClick(button: Element, work: () => Promise<void>): void {
  button.addEventListener('click', once(work));
}

function once<Parameters extends unknown[]>(work: (...parameters: Parameters) => Promise<void>) {
  let isBusy = false;
  return async (...parameters: Parameters): Promise<void> => {
    if (isBusy) return;
    isBusy = true;
    try {
      complain('');
      await work(...parameters);
    } catch {
      complain(unreachable);
    } finally {
      isBusy = false;
    }
  };
}
