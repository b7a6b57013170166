import { Eta } from 'eta';
import type { MailboxMail } from '../mail/mailbox.ts';

const style = `
:root { color-scheme: light dark; --line: #d5dae1; --quiet: #5b6470; }
@media (prefers-color-scheme: dark) { :root { --line: #3a3f47; --quiet: #a5abb3; } }
body { margin: 0 auto; padding: 2rem 1rem; max-width: 56rem; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
ul { list-style: none; padding: 0; } li { padding: .75rem 0; border-bottom: 1px solid var(--line); }
.quiet { color: var(--quiet); font-size: .9rem; overflow-wrap: anywhere; }
iframe { width: 100%; height: 36rem; border: 1px solid var(--line); border-radius: 8px; background: #fff; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; padding: 1rem; border: 1px solid var(--line); border-radius: 8px; }
`;

/** Inline styles are let in for the mail, which inherits this policy in its frame; scripts and remote content are not. */
export const mailboxPagePolicy =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const templates = new Eta();

const list = templates.compile(`<h1>Mailbox</h1>
<p class="quiet">Mails that would have been sent. Set SMTP_URL to send them.</p>
<% if (it.mails.length === 0) { %><p>No mails yet. Register an account, and reload.</p><% } %>
<ul>
<% for (const mail of it.mails) { %>
<li><a href="/dev/mail/<%= mail.id %>"><%= mail.subject %></a><br><span class="quiet">to <%= mail.to %>, <%= mail.at %></span>
<% for (const link of mail.links) { %><br><span class="quiet"><a href="<%= link %>" rel="noreferrer"><%= link %></a></span><% } %></li>
<% } %>
</ul>`);

const mail = templates.compile(`<p><a href="/dev/mail">All mails</a></p>
<h1><%= it.mail.subject %></h1>
<p class="quiet">to <%= it.mail.to %>, <%= it.mail.at %></p>
<ul><% for (const link of it.mail.links) { %><li><a href="<%= link %>" rel="noreferrer"><%= link %></a></li><% } %></ul>
<h2>HTML</h2>
<iframe title="HTML part" sandbox="allow-popups allow-popups-to-escape-sandbox" srcdoc="<%= it.mail.html %>"></iframe>
<h2>Text</h2>
<pre><%= it.mail.text %></pre>
<h2>Source</h2>
<pre><%= it.mail.source %></pre>`);

const layout = templates.compile(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title><%= it.title %></title><style><%~ it.style %></style></head>
<body><%~ it.body %></body>
</html>`);

export function listPage(mails: readonly MailboxMail[]): string {
  return page('Mailbox', templates.render(list, { mails }));
}

export function mailPage(shown: MailboxMail): string {
  return page(shown.subject, templates.render(mail, { mail: shown }));
}

function page(title: string, body: string): string {
  return templates.render(layout, { title, style, body });
}
