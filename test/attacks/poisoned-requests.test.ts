import t from 'tap';
import { listening } from '../support/listening.ts';
import { linksOf } from '../support/mail-server.ts';
import { logIn, newDetails, register } from '../support/person.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { exchange, exchangeOne } from '../support/wire.ts';

t.test('P05 a link is made of the configuration, whatever the request says of where it came from', async (t) => {
  const service = await listening(await startService(t, { RATE_LIMIT: 'off', PUBLIC_URL: 'https://accounts.example.com/base' }));
  const evil = 'evil.example';
  const hosts = [
    `Host: ${evil}`,
    `Host: ${evil}:3000`,
    `Host: accounts.example.com@${evil}`,
    `Host: accounts.example.com.${evil}`,
    `Host: localhost\r\nHost: ${evil}`,
    `Host: ${evil}\r\nHost: accounts.example.com`,
    `Host: `,
    `Host: ${evil}/x?`,
  ];
  const others = [
    `X-Forwarded-Host: ${evil}`,
    `X-Forwarded-Host: accounts.example.com, ${evil}`,
    `Forwarded: for=1.2.3.4;host=${evil};proto=http`,
    `Origin: https://${evil}`,
    `Origin: null`,
    `Referer: https://${evil}/`,
    'X-Forwarded-Proto: http\r\nX-Forwarded-Port: 81',
    `X-Forwarded-Prefix: //${evil}`,
    `X-Original-URL: //${evil}/\r\nX-Rewrite-URL: //${evil}/`,
    `X-Original-Host: ${evil}\r\nX-Host: ${evil}\r\nX-Forwarded-Server: ${evil}\r\nX-HTTP-Host-Override: ${evil}`,
    `X-Forwarded-For: ${evil}\r\nX-Real-IP: ${evil}\r\nTrue-Client-IP: ${evil}`,
    `Content-Location: https://${evil}/\r\nContent-Base: https://${evil}/`,
    `User-Agent: https://${evil}/`,
    `Accept-Language: de, https://${evil}/`,
  ].map((lines) => `Host: localhost\r\n${lines}`);
  const path = '/auth/password/forgot';
  const requests = [
    ...[...hosts, ...others].map((fields) => ({ target: path, fields })),
    { target: `http://${evil}${path}`, fields: 'Host: localhost' },
    { target: `http://${evil}${path}`, fields: `Host: ${evil}` },
    { target: `https://x@${evil}${path}`, fields: 'Host: localhost' },
    { target: `${path}?host=${evil}&redirect=https://${evil}/&url=https://${evil}/`, fields: 'Host: localhost' },
    { target: `//${evil}${path}`, fields: 'Host: localhost' },
  ];
  const taken: { email: string; what: string }[] = [];
  for (const { target, fields } of requests) {
    const { email } = await register(service);
    await service.mailServer.mailTo(email);
    const body = JSON.stringify({ email });
    const lines = [
      `POST ${target} HTTP/1.1`,
      fields,
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
      'Connection: close',
    ];
    const [answer] = await exchange(service.base, `${lines.join('\r\n')}\r\n\r\n${body}`);
    t.ok(answer?.status === 202 || (answer?.status ?? 0) >= 400, `${target} ${fields} is answered ${answer?.status}`);
    t.notMatch(`${JSON.stringify(answer?.headers)}${answer?.body}`, evil);
    if (answer?.status === 202) taken.push({ email, what: `${target} ${fields}` });
  }
  t.ok(taken.length > 15, `${taken.length} of them were taken`);
  // The mails have been under way meanwhile.
  for (const { email, what } of taken) {
    const mail = await service.mailServer.mailTo(email, 2);
    t.match(linksOf(mail), [/^https:\/\/accounts\.example\.com\/base\/auth\/password\/reset\/[\w-]+\.[\w-]+\.[\w-]+$/], what);
    const whole = `${mail.text}${mail.html}${mail.headerLines.map(({ line }) => line).join('\n')}`;
    t.notMatch(whole, evil);
    const hrefs = [...String(mail.html).matchAll(/\b(?:href|src|action)="([^"]*)"/g)].map(([, href = '']) => new URL(href).host);
    t.strictSame([...new Set(hrefs)], ['accounts.example.com']);
  }
  const { email } = await register(service);
  for (const more of [{ resetUrl: `https://${evil}/{token}` }, { url: evil }, { redirectTo: evil }, { host: evil }]) {
    refused(t, await service.post(path, { email, ...more }), 400, 'validation_failed', Object.keys(more)[0]);
  }
});

t.test('P05 nor does any other mail take its links from a request', async (t) => {
  const service = await listening(
    await startService(t, { RATE_LIMIT: 'off', PUBLIC_URL: 'https://accounts.example.com/base', SESSION_PROTECTION: 'none' }),
  );
  const evil = 'evil.example';
  const poisons = [
    `Host: ${evil}`,
    `Host: localhost\r\nX-Forwarded-Host: ${evil}\r\nForwarded: host=${evil}`,
    `Host: localhost\r\nOrigin: https://${evil}`,
  ];
  for (const fields of poisons) {
    for (const prefix of ['', `http://${evil}`]) {
      const send = async (path: string, { body, token }: { body?: object; token?: string }) => {
        const text = body === undefined ? '' : JSON.stringify(body);
        const own = [...(body ? ['Content-Type: application/json'] : []), ...(token ? [`Authorization: Bearer ${token}`] : [])];
        const lines = [`POST ${prefix}${path} HTTP/1.1`, fields, ...own, `Content-Length: ${text.length}`, 'Connection: close', '', ''];
        const head = lines.join('\r\n');
        const answer = await exchangeOne(service.base, head + text);
        t.match(answer.status, /^20\d$/, `${prefix}${path} ${fields}`);
        t.notMatch(`${JSON.stringify(answer.headers)}${answer.body}`, evil);
      };
      const details = newDetails();
      const { email, password } = details;
      await send('/auth/register', { body: details });
      const token = await logIn(service, details);
      await service.mailServer.mailTo(email);
      await send('/auth/confirm/resend', { token });
      await send('/auth/email', { body: { newEmail: `next.${email}`, password }, token });
      const all = [await service.mailServer.mailTo(email, 3), await service.mailServer.mailTo(`next.${email}`)];
      for (const mail of [await service.mailServer.mailTo(email), await service.mailServer.mailTo(email, 2), ...all]) {
        const whole = `${mail.text}${mail.html}${mail.headerLines.map(({ line }) => line).join('\n')}`;
        t.notMatch(whole, evil);
        t.ok(linksOf(mail).every((link) => link.startsWith('https://accounts.example.com/base/auth/')));
      }
      t.equal(linksOf(await service.mailServer.mailTo(`next.${email}`)).length, 1);
    }
  }
});
