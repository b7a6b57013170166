import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from '@sinclair/typebox';
import type { FastifyReply } from 'fastify';
import { maxEmailLength } from '../credentials/email.ts';
import type { Mailbox } from '../mail/mailbox.ts';
import { wantsPage } from '../pages/negotiation.ts';
import { Problem } from '../problems/problem.ts';
import { maxUrlLength, strictObject, text, time, uuid } from '../schemas.ts';
import { listPage, mailboxPagePolicy, mailPage } from './pages.ts';

/** Of a mail that the service has made: far more than any. */
const maxPartLength = 1_000_000;
const Summary = {
  id: uuid(),
  to: text(maxEmailLength),
  subject: text(maxPartLength),
  at: time(),
  links: Type.Array(Type.String({ format: 'uri', maxLength: maxPartLength }), { maxItems: maxPartLength }),
};
const exampleMail = {
  id: '019a9d3c-6f33-7a10-8f6e-b1d2c3e4f506',
  to: 'ada@example.com',
  subject: 'Confirm your e-mail address for Latchkey',
  at: '2026-11-20T18:45:00.412Z',
  links: ['http://localhost:3000/auth/confirm/eyJhbGciOiJIUzI1NiIs', 'http://localhost:3000/auth/disown/eyJhbGciOiJIUzI1NiIs'],
};
const MailQuery = strictObject({
  to: Type.Optional(text(maxUrlLength, 'Only mails to this address.')),
  after: Type.Optional(text(maxUrlLength, 'Only mails newer than the one with this id.')),
  wait: Type.Optional(
    Type.String({
      maxLength: 2,
      pattern: '^(?:[0-9]|[12][0-9]|30)$',
      description: 'Seconds to wait for a mail, if there is none: at most 30.',
    }),
  ),
});
const MailList = strictObject(
  { mails: Type.Array(strictObject(Summary), { maxItems: maxPartLength }) },
  { description: 'The mails, newest first.', examples: [{ mails: [exampleMail] }] },
);
const WholeMail = strictObject(
  { ...Summary, text: text(maxPartLength), html: text(maxPartLength), source: text(maxPartLength) },
  {
    description: 'One mail.',
    examples: [
      { ...exampleMail, text: 'Hello,\n\n…', html: '<p>Hello,</p>…', source: 'Subject: Confirm your e-mail address for Latchkey\r\n…' },
    ],
  },
);

/** What the service "sent" while no mail server is configured. Never there in production. */
export const mailboxRoutes: FastifyPluginAsyncTypebox<{ mailbox: Mailbox }> = async (app, { mailbox }) => {
  // Before the server is closed, which would wait for them.
  app.addHook('preClose', async () => mailbox.close());

  app.route({
    method: 'GET',
    url: '/dev/mail',
    config: { access: 'public', page: true, problems: ['not_found'] },
    links: {
      200: { show: { operationId: 'getMail', parameters: { id: '$response.body#/mails/0/id' }, description: 'One of them, whole.' } },
    },
    schema: {
      operationId: 'listMails',
      tags: ['Mailbox'],
      summary: 'The mails that were sent to the embedded mailbox',
      description:
        'Only without `SMTP_URL`. JSON for clients, a page for browsers. With `wait` the answer comes as soon as there is a mail to show. The last part of a link is the token of `GET /auth/confirm/{token}`, or of what else the link is for.',
      querystring: MailQuery,
      response: { 200: MailList },
    },
    async handler(request, reply) {
      const { wait = '0', ...filter } = request.query;
      const mails = wait === '0' ? await mailbox.list(filter) : await mailbox.waitFor(filter, Number(wait));
      return wantsPage(request) ? sendPage(reply, listPage(mails)) : { mails };
    },
  });

  app.route({
    method: 'GET',
    url: '/dev/mail/:id',
    config: { access: 'public', page: true, problems: ['not_found'] },
    schema: {
      operationId: 'getMail',
      tags: ['Mailbox'],
      summary: 'One mail of the embedded mailbox',
      description: 'With its text, its page and its source. JSON for clients, a page for browsers.',
      params: strictObject({ id: text(maxUrlLength) }),
      response: { 200: WholeMail },
    },
    async handler(request, reply) {
      const mail = await mailbox.find(request.params.id);
      if (mail === undefined) throw new Problem('not_found');
      return wantsPage(request) ? sendPage(reply, mailPage(mail)) : mail;
    },
  });
};

/** @returns the reply, in the type that the JSON handlers have: what is sent is text, which no serialiser touches */
function sendPage(reply: FastifyReply, page: string): never {
  return reply.type('text/html; charset=utf-8').header('content-security-policy', mailboxPagePolicy).serializer(String).send(page) as never;
}
