import { createHash } from 'node:crypto';

/** The one stylesheet of all pages: light and dark, from 320 px on, with contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3). */
export const stylesheet = `:root {
  color-scheme: light dark;
  --page: #f2f4f7; --card: #fff; --text: #1c2026; --quiet: #5b6470; --line: #79818d;
  --accent: #1f5fd6; --on-accent: #fff; --error: #b3261e; --alert: #fdecea;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15171a; --card: #212429; --text: #e8eaed; --quiet: #a5abb3; --line: #8b929c;
    --accent: #8ab4ff; --on-accent: #10131a; --error: #ffb4ab; --alert: #3b1f1d;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; min-height: 100vh; display: grid; place-items: start center; padding: clamp(1rem, 8vh, 6rem) 1rem;
  background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
}
main { width: 100%; max-width: 30rem; padding: 2rem; border-radius: .75rem; background: var(--card); overflow-wrap: anywhere; }
.service { margin: 0 0 .5rem; color: var(--quiet); font-weight: 600; }
h1 { margin: 0 0 1rem; font-size: 1.5rem; line-height: 1.25; overflow-wrap: break-word; hyphens: auto; }
p { margin: 0 0 1rem; }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input {
  width: 100%; min-height: 2.75rem; padding: .5rem .75rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--card); color: inherit; font: inherit;
}
input[readonly] { border-style: dashed; color: var(--quiet); }
input[aria-invalid] { border: 2px solid var(--error); }
.error { margin: .25rem 0 0; color: var(--error); }
.alert { padding: .75rem 1rem; border-left: .25rem solid var(--error); border-radius: .25rem; background: var(--alert); }
button {
  width: 100%; min-height: 2.75rem; margin: 1.5rem 0 0; padding: .5rem 1rem; border: 0; border-radius: .5rem;
  background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600; cursor: pointer;
}
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
@media (max-width: 30rem) { main { padding: 1.5rem 1.25rem; } }
`;

/** Changes with the stylesheet, so that it may be cached for long. */
export const stylesheetVersion = createHash('sha256').update(stylesheet).digest('hex').slice(0, 12);
