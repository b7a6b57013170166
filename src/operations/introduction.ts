const start = `Accounts whose e-mail address must be confirmed: until it is, every route that does not say otherwise stays closed to them.
Errors are problem details (RFC 9457); decide by their \`code\`.

## Walk through it

The examples belong together: in this order, each works as it is, and only tokens have to be copied. On a page such as \`/docs\`, where requests can be sent,
open an operation and press *Execute*.`;

const registrations = {
  mailbox: '**Register** at `POST /auth/register`. The answer is 201, and a mail is on its way.',
  mail: '**Register** at `POST /auth/register`, with an address whose mails you read instead of the example’s. The answer is 201, and a mail is on its way.',
};

const logIn =
  '**Log in** at `POST /auth/login`, by the same address, and copy the `accessToken` of the answer. From now on it is sent as `Authorization: Bearer …`: on a page with a button *Authorize*, press that and paste the token under *bearer*. It lives for `expiresIn` seconds; if you take longer, log in again.';

const keptOut = '**Be kept out** of `GET /secret`: 403 `unconfirmed`.';

const readings = {
  mailbox:
    '**Read the mail** at `GET /dev/mail`. What follows `/auth/confirm/` in its link is the token. (In a browser, `/dev/mail` is a page with live links.)',
  mail: '**Read the mail.** The last part of its link is the token.',
};

const confirm = '**Confirm** at `GET /auth/confirm/{token}` with that token: 200 `confirmed`.';

const letIn = '**Be let in** to `GET /secret`, with the same access token as before.';

const rest = [
  '**Refresh** at `POST /auth/refresh`, with the `refreshToken` that you got at the login instead of the example’s. Both tokens are replaced.',
  '**Change the password** at `PUT /auth/password`. You stay logged in; from now on, log in with the new one.',
  '**Log out** at `POST /auth/logout`. `GET /auth/me` is 401 `unauthenticated` from now on.',
];

const end = `**With cookies**, there is nothing to copy but the token of the mail. Take the example \`cookie\` of \`POST /auth/login\`: the browser keeps both
tokens where no script can read them, and sends them by itself. Take the example \`cookie\` of \`POST /auth/refresh\`, too.
Do one or the other: if you have pasted a bearer token, remove it first (*Authorize*, *Logout*), since two different credentials in one
request are 400 \`ambiguous_credentials\`.`;

interface Surroundings {
  /** Whether mails are to be found at `/dev/mail`. */
  readonly hasMailbox: boolean;
  /** Whether there is the sample of a guarded route, which an application has routes of its own instead of. */
  readonly hasSample: boolean;
}

/** What the OpenAPI document begins with: the whole story, by hand; nobody is sent to what is not there. */
export function introduction({ hasMailbox, hasSample }: Surroundings): string {
  const kind = hasMailbox ? 'mailbox' : 'mail';
  const sample = (step: string) => (hasSample ? [step] : []);
  const steps = [registrations[kind], logIn, ...sample(keptOut), readings[kind], confirm, ...sample(letIn), ...rest];
  return [start, steps.map((step, index) => `${index + 1}. ${step}`).join('\n'), end].join('\n\n');
}
