import { fastify } from 'fastify';
import t, { type Test } from 'tap';
import type { AccessLevel } from '../../src/guard/access.ts';
import { guardPlugin, requireSession } from '../../src/guard/plugin.ts';
import { httpPlugin } from '../../src/http/plugin.ts';
import { type Answer, createClient } from '../support/client.ts';
import { refused } from '../support/refusal.ts';
import { startService } from '../support/service.ts';
import { inviteVisitors, type Visitors } from '../support/visitors.ts';

type Outcome = 'in' | 'unauthenticated' | 'unconfirmed';

/** The outcome for everybody: let in, or with which code not. */
const expected: Record<AccessLevel | 'undeclared', Record<keyof Visitors, Outcome>> = {
  public: { anonymous: 'in', unconfirmed: 'in', confirmed: 'in', disabled: 'in', loggedOut: 'in', deleted: 'in' },
  visitor: { anonymous: 'in', unconfirmed: 'unconfirmed', confirmed: 'in', disabled: 'in', loggedOut: 'in', deleted: 'in' },
  session: {
    anonymous: 'unauthenticated',
    unconfirmed: 'in',
    confirmed: 'in',
    disabled: 'unauthenticated',
    loggedOut: 'unauthenticated',
    deleted: 'unauthenticated',
  },
  confirmed: {
    anonymous: 'unauthenticated',
    unconfirmed: 'unconfirmed',
    confirmed: 'in',
    disabled: 'unauthenticated',
    loggedOut: 'unauthenticated',
    deleted: 'unauthenticated',
  },
  undeclared: {
    anonymous: 'unauthenticated',
    unconfirmed: 'unconfirmed',
    confirmed: 'in',
    disabled: 'unauthenticated',
    loggedOut: 'unauthenticated',
    deleted: 'unauthenticated',
  },
};

t.test('the guard', async (t) => {
  const service = await startService(t);
  const visitors = await inviteVisitors(service);
  const everybody = Object.keys(visitors) as (keyof Visitors)[];
  const as = (who: keyof Visitors) => (visitors[who] === undefined ? {} : { token: visitors[who] });

  // An application of nothing but the guard, on the sessions of the service beside it.
  const app = fastify();
  t.teardown(() => app.close());
  await app.register(httpPlugin, { headers: { 'cache-control': 'no-store' } });
  await app.register(guardPlugin, { ...service.app.services, protection: 'basic', accessCookie: 'access' });
  for (const access of ['public', 'visitor', 'session', 'confirmed'] as const) {
    app.get(`/${access}`, { config: { access } }, async (request) => ({ as: request.session?.userId ?? null }));
  }
  await app.register(
    async (inner) => {
      inner.get('/undeclared', async (request) => ({ as: request.session?.userId ?? null }));
      inner.get('/*', async () => 'anything');
    },
    { prefix: '/inner' },
  );
  app.get('/mistaken', { config: { access: 'public' } }, async (request) => requireSession(request).id);
  const guarded = createClient(app);

  function assertOutcome(t: Test, answer: Answer, who: keyof Visitors, outcome: Outcome): void {
    if (outcome === 'unconfirmed') refused(t, answer, 403, 'unconfirmed', who);
    else if (outcome === 'unauthenticated') refused(t, answer, 401, 'unauthenticated', who);
    else t.equal(answer.status, 200, `let in: ${who}`);
    const challenge = who === 'anonymous' ? 'Bearer' : 'Bearer error="invalid_token"';
    t.equal(answer.headers['www-authenticate'], outcome === 'unauthenticated' ? challenge : undefined);
  }

  for (const [level, outcomes] of Object.entries(expected)) {
    t.test(`lets the right ones in where the level is ${level}`, async (t) => {
      const url = level === 'undeclared' ? '/inner/undeclared' : `/${level}`;
      for (const who of everybody) assertOutcome(t, await guarded.get(url, as(who)), who, outcomes[who]);
    });
  }

  t.test('tells the handler who is asking, where the level is not public', async (t) => {
    for (const level of ['visitor', 'session', 'confirmed']) {
      const answer = await guarded.get(`/${level}`, { token: visitors.confirmed });
      t.equal(answer.body.as, claimsOf(visitors.confirmed).sub, level);
    }
    for (const who of ['anonymous', 'disabled', 'loggedOut'] as const) {
      t.equal((await guarded.get('/visitor', as(who))).body.as, null, who);
    }
  });

  t.test('says to the unconfirmed what to do', async (t) => {
    const { body } = await guarded.get('/inner/undeclared', { token: visitors.unconfirmed });
    t.strictSame(body.resend, { method: 'POST', href: '/auth/confirm/resend' });
  });

  t.test('closes a wildcard that declares nothing, however its path is spelled', async (t) => {
    for (const path of [
      '/inner/x',
      '/inner/../inner/x',
      '/inner//x',
      '/inner/undeclared/',
      '/inner/%2e%2epublic',
      '/inner/x?access=public',
    ]) {
      refused(t, await guarded.get(path), 401, 'unauthenticated', path);
      t.equal((await guarded.get(path, { token: visitors.confirmed })).status, 200, path);
    }
  });

  t.test('takes a token for the account that it was made for, and for no other', async (t) => {
    const { accessTokens, clientDigests } = service.app.services;
    const [mine, other] = [claimsOf(visitors.confirmed), claimsOf(visitors.unconfirmed)];
    const client = clientDigests.of('127.0.0.1', 'lightMyRequest');
    const about = { username: 'x', email: 'x@example.com', role: 'user', confirmed: false };
    const mixed = accessTokens.mint({ ...about, sub: other.sub, sid: mine.sid }, client);
    refused(t, await guarded.get('/session', { token: mixed }), 401, 'unauthenticated');
    const matching = accessTokens.mint({ ...about, sub: mine.sub, sid: mine.sid }, client);
    t.equal((await guarded.get('/session', { token: matching })).status, 200);
  });

  t.test('does not hand out a session that the level does not promise', async (t) => {
    refused(t, await guarded.get('/mistaken', { token: visitors.confirmed }), 500, 'internal_error');
  });

  t.test('G03: has the same 404 for everyone where nothing is', async (t) => {
    const texts = new Set<string>();
    for (const path of ['/nothing', '/auth/nothing', '/secret/nothing', '/SECRET', '/secret/', '/auth/me/password']) {
      for (const who of everybody) {
        const answer = await service.get(path, as(who));
        refused(t, answer, 404, 'not_found', `${path}, ${who}`);
        texts.add(answer.text);
      }
    }
    t.equal(texts.size, 1);
    t.equal((await service.get('/secret', { token: visitors.confirmed })).status, 200, 'what is there is found');
  });

  t.test('G06: goes by the route that is matched, whatever headers and query say of another', async (t) => {
    const overrides: Record<string, string>[] = [
      { 'x-http-method-override': 'POST' },
      { 'x-http-method': 'POST' },
      { 'x-method-override': 'OPTIONS' },
      { 'x-original-url': '/health/live' },
      { 'x-rewrite-url': '/health/live' },
      { 'x-forwarded-prefix': '/health' },
      { 'x-forwarded-uri': '/health/live' },
      { 'x-forwarded-path': '/health/live' },
    ];
    for (const headers of overrides) {
      const what = Object.keys(headers)[0] ?? '';
      refused(t, await service.get('/secret', { headers }), 401, 'unauthenticated', what);
      refused(t, await service.get('/secret', { headers, token: visitors.unconfirmed }), 403, 'unconfirmed', what);
      t.strictSame((await service.get('/health/live', { headers })).body, { status: 'ok' }, `${what} does not lead away`);
      refused(t, await service.get('/auth/logout', { headers, token: visitors.confirmed }), 405, 'method_not_allowed', what);
    }
    refused(t, await service.get('/secret?_method=OPTIONS&access=public'), 401, 'unauthenticated', 'the query');
    refused(t, await service.get('/auth/logout?_method=POST', { token: visitors.confirmed }), 405, 'method_not_allowed', 'the query');
    t.equal((await service.get('/secret', { token: visitors.confirmed })).status, 200, 'the session has not been ended by any of it');
  });
});

function claimsOf(token: string): { sub: string; sid: string } {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
}
