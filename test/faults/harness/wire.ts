import { request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import type { Entry, History, Outcome } from './history.ts';

/** What a client sends, and what it is. */
export interface Attempt extends Pick<Entry, 'operation' | 'person' | 'username' | 'session' | 'token'> {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: object;
  readonly accessToken?: string;
}

export interface Answer extends Pick<Entry, 'outcome' | 'status' | 'code' | 'start' | 'end' | 'since'> {
  readonly body: Body;
}

/** The members of answers that clients look at. */
interface Body {
  readonly code?: string;
  readonly accessToken?: string;
  readonly refreshToken?: string;
  readonly session?: { readonly id: string };
}

export interface Wire {
  /** Sends one request, and writes into the history what came of it. */
  send(attempt: Attempt): Promise<Answer>;
  /** As a real client does: again and again until it is known what came of it, for a minute at most. */
  insist(attempt: Attempt): Promise<Answer>;
}

interface RawAnswer {
  readonly status?: number;
  readonly retryAfter?: string | undefined;
  readonly body: Body;
}

const patienceMs = 5000;
const pauseMs = 300;
/** What has not been possible for so long is given up. */
const persistenceMs = 60_000;

/** Sends one request over a connection of its own. An answer without a status is none. */
export function exchange(base: string, { method, path, body, accessToken }: Omit<Attempt, 'operation' | 'person'>, withinMs = patienceMs) {
  const headers = {
    accept: 'application/json',
    'user-agent': 'client',
    ...(body && { 'content-type': 'application/json' }),
    ...(accessToken !== undefined && { authorization: `Bearer ${accessToken}` }),
  };
  return new Promise<RawAnswer>((resolve) => {
    const none = () => resolve({ body: {} });
    const outgoing = request(new URL(path, base), { method, headers, agent: false }, (answer) => {
      const { statusCode: status = 0 } = answer;
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      answer.once('error', none);
      answer.once('end', () => resolve({ status, retryAfter: answer.headers['retry-after'], body: parsed(text) }));
    });
    const timer = setTimeout(() => outgoing.destroy(), withinMs);
    outgoing.once('error', none);
    outgoing.once('close', () => {
      clearTimeout(timer);
      none();
    });
    outgoing.end(body && JSON.stringify(body));
  });
}

function parsed(text: string): Body {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** A 503 may be the answer to a COMMIT whose own answer was lost: what it was about may have been done. */
function outcomeOf(status: number | undefined): Outcome {
  if (status === undefined || status >= 500) return 'unknown';
  return status < 400 ? 'ok' : 'fail';
}

export function createWire(base: string, history: History): Wire {
  async function trySince(attempt: Attempt, since?: number): Promise<Answer> {
    const { operation, person, username, session, token } = attempt;
    const start = history.now();
    const { status, retryAfter, body } = await exchange(base, attempt);
    const code = body.code;
    const seen = {
      ...{ start, end: history.now(), since: since ?? start, outcome: outcomeOf(status) },
      ...(status !== undefined && { status }),
      ...(code !== undefined && { code }),
    };
    const opened = session ?? body.session?.id;
    history.add({
      ...{ operation, person, ...seen },
      ...(retryAfter !== undefined && { retryAfter }),
      ...(username !== undefined && { username }),
      ...(opened !== undefined && { session: opened }),
      ...(token !== undefined && { token }),
    });
    return { ...seen, body };
  }

  return {
    send: (attempt) => trySince(attempt),
    async insist(attempt) {
      let answer = await trySince(attempt);
      while (answer.outcome === 'unknown' && history.now() - answer.since < persistenceMs) {
        await pause(pauseMs);
        answer = await trySince(attempt, answer.since);
      }
      return answer;
    },
  };
}
