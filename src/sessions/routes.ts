import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { clearedCookies, clearSessionCookies, setCookieField } from '../guard/cookies.ts';
import { logOut } from '../guard/log-out.ts';
import { requireSession } from '../guard/plugin.ts';
import { readCookie } from '../guard/presented-token.ts';
import { originOf } from '../http/origin.ts';
import { Problem } from '../problems/problem.ts';
import { NoBody, NoContent } from '../schemas.ts';
import type { Services } from '../services.ts';
import { logIn } from './log-in.ts';
import { answerWithTokens, type Transport } from './login-result.ts';
import { endOwnOtherSessions, endOwnSession, listSessions, presentSession } from './own-sessions.ts';
import { refreshSession } from './refresh-session.ts';
import { LoginBody, LoginResult, RefreshBody, type RefreshBody as RefreshBodyType, SessionList, SessionParams } from './schemas.ts';

const tokenCookies = setCookieField('In cookie mode: the access token and the refresh token, each in a field of its own.');
const clearedIfOwn = setCookieField('When it is the session that asks: makes the browser forget both of its cookies.');

/** Sessions: opened with a password, kept up with a refresh token, seen and ended by their owner. */
export const sessionRoutes: FastifyPluginAsyncTypebox<Services> = async (app, services) => {
  const tags = ['Sessions'];
  let needsWarning = !services.sessionCookies.secure;

  app.route({
    method: 'POST',
    url: '/auth/login',
    config: {
      access: 'public',
      limit: 'login',
      problems: ['invalid_credentials', 'cross_origin_rejected'],
      answerHeaders: { 200: tokenCookies },
    },
    links: {
      200: {
        me: { operationId: 'getMe', description: 'Whose session it is, read fresh.' },
        refresh: { operationId: 'refresh', description: 'Before the access token has expired.' },
        unconfirmed: { operationId: 'getUnconfirmed', description: 'While `user.confirmed` is false: what the user waits for.' },
      },
    },
    schema: {
      operationId: 'login',
      tags,
      summary: 'Log in',
      description: 'Opens a session, by e-mail address or user name. Works before the address is confirmed, too.',
      body: LoginBody,
      response: { 200: LoginResult },
    },
    onRequest: (_request, _reply, done) => done(services.hasher.refusal()),
    async handler(request, reply) {
      const { transport = 'bearer' } = request.body;
      if (transport === 'cookie') {
        // A browser must not be logged in to somebody else's account by another site.
        services.checkOrigin(request);
        warnOfPlainHttp();
      }
      const opened = await services.hasher.admit(() => logIn(services, request.body, originOf(request)));
      return answerWithTokens(services, opened, transport, reply);
    },
  });

  app.route({
    method: 'POST',
    url: '/auth/refresh',
    config: {
      access: 'public',
      problems: ['invalid_refresh_token', 'ambiguous_credentials', 'cross_origin_rejected', 'service_unavailable'],
      answerHeaders: { 200: tokenCookies },
    },
    links: { 200: { refresh: { operationId: 'refresh', description: 'With the newest refresh token.' } } },
    schema: {
      operationId: 'refresh',
      tags,
      summary: 'Refresh a session',
      description:
        'Trades a refresh token for a new pair of tokens, which come the way it came. Parallel calls with the same token get the same successor for 10 s; later it is reuse, and the session ends.',
      body: RefreshBody,
      response: { 200: LoginResult },
    },
    async handler(request, reply) {
      const { token, transport } = presentedRefreshToken(request, request.body);
      return answerWithTokens(services, await refreshSession(services, token, originOf(request)), transport, reply);
    },
  });

  app.route({
    method: 'POST',
    url: '/auth/logout',
    config: { access: 'session', answerHeaders: { 204: clearedCookies } },
    schema: {
      operationId: 'logout',
      tags,
      summary: 'Log out',
      description: 'Ends this session: its access token and its refresh token are worth nothing from now on. Cookies are cleared.',
      body: NoBody,
      response: { 204: NoContent('The session is over.') },
    },
    async handler(request, reply) {
      await logOut(services, requireSession(request), originOf(request));
      clearSessionCookies(reply, services.sessionCookies);
      return reply.code(204).send(null);
    },
  });

  app.route({
    method: 'GET',
    url: '/auth/sessions',
    config: { access: 'session' },
    links: {
      200: { end: { operationId: 'endSession', parameters: { id: '$response.body#/sessions/0/id' }, description: 'Ends one of them.' } },
    },
    schema: {
      operationId: 'listSessions',
      tags,
      summary: 'Where one is logged in',
      description: 'The live sessions of the account, with the device and the place that each was opened from.',
      response: { 200: SessionList },
    },
    async handler(request) {
      const { id, userId } = requireSession(request);
      return { sessions: (await listSessions(services, userId)).map((session) => presentSession(session, id)) };
    },
  });

  app.route({
    method: 'DELETE',
    url: '/auth/sessions/:id',
    config: { access: 'session', problems: ['not_found'], answerHeaders: { 204: clearedIfOwn } },
    schema: {
      operationId: 'endSession',
      tags,
      summary: 'End one session',
      description: "Only one's own: another user's id is as unknown as any.",
      params: SessionParams,
      response: { 204: NoContent('The session is over.') },
    },
    async handler(request, reply) {
      const { id, userId } = requireSession(request);
      await endOwnSession(services, userId, request.params.id, originOf(request));
      // The database takes an id in upper case for the same one.
      if (request.params.id.toLowerCase() === id) clearSessionCookies(reply, services.sessionCookies);
      return reply.code(204).send(null);
    },
  });

  app.route({
    method: 'DELETE',
    url: '/auth/sessions',
    config: { access: 'session' },
    schema: {
      operationId: 'endOtherSessions',
      tags,
      summary: 'End all other sessions',
      description: 'Ends all sessions of the account but the one that asks: on this instance at once, on others within a second.',
      response: { 204: NoContent('All sessions but this one are over.') },
    },
    async handler(request, reply) {
      await endOwnOtherSessions(services, requireSession(request), originOf(request));
      return reply.code(204).send(null);
    },
  });

  function warnOfPlainHttp(): void {
    if (needsWarning) app.log.warn('session cookies travel without Secure, since PUBLIC_URL is not https');
    needsWarning = false;
  }

  /** @throws Problem `ambiguous_credentials`, `cross_origin_rejected`, or `invalid_refresh_token` when there is none */
  function presentedRefreshToken(request: FastifyRequest, body: RefreshBodyType): { token: string; transport: Transport } {
    const fromBody = body?.refreshToken;
    const { cookie } = request.headers;
    const fromCookie = cookie === undefined ? undefined : readCookie(cookie, services.sessionCookies.refresh);
    if (fromBody !== undefined && fromCookie !== undefined && fromBody !== fromCookie) throw new Problem('ambiguous_credentials');
    if (fromBody !== undefined) return { token: fromBody, transport: 'bearer' };
    if (fromCookie === undefined) throw new Problem('invalid_refresh_token');
    services.checkOrigin(request);
    return { token: fromCookie, transport: 'cookie' };
  }
};
