import type { Evidence } from './evidence.ts';
import { groupBy } from './group.ts';
import type { Entry } from './history.ts';

/** When sessions were ended, as far as clients know: by logging out, by a reset of the password, or with a spent refresh token. */
export interface SessionEnds {
  /** Whether somebody had begun to end it by then. */
  mayBeOver(session: string | undefined, at: number): boolean;
  /** When it was acknowledged that it is over; infinity when it never was. */
  overSince(session: string | undefined): number;
}

interface Ending {
  readonly session: string;
  readonly begin: number;
  readonly done: number;
}

/** What was signed by a clock that is ahead is refused by the others for as long as that was off, whatever has become of its session. */
const clocksDifferMs = 5 * 60_000;

/** Finds the ends of sessions in a history. */
export function findSessionEnds({ history, faults }: Pick<Evidence, 'history' | 'faults'>): SessionEnds {
  const logins = groupBy(
    history.filter(({ operation }) => operation === 'log in'),
    ({ person }) => person,
  );

  /** What is found done when it is tried again was done by a try before. */
  function isKnownToBeDone({ operation, outcome, code, status, since, start }: Entry): boolean {
    if (outcome === 'ok') return true;
    if (since === start) return false;
    if (operation === 'reset') return code === 'used_token';
    const isByOtherClock = faults.some(({ kind, from, to }) => kind.includes('clock') && start >= from && start <= to + clocksDifferMs);
    return operation === 'log out' && status === 401 && !isByOtherClock;
  }

  /** What one request has ended. */
  function endingsOf(entry: Entry): Ending[] {
    const { operation, person, session = '', since, end } = entry;
    const done = isKnownToBeDone(entry) ? end : Number.POSITIVE_INFINITY;
    if (operation === 'log out') return [{ session, begin: since, done }];
    if (operation === 'refresh with a spent token') return [{ session, begin: since, done: Number.POSITIVE_INFINITY }];
    if (operation !== 'reset') return [];
    // Those that were opened before it began for certain, those while it was under way perhaps, and those afterwards not.
    return (logins.get(person) ?? [])
      .filter((login) => login.start <= end)
      .map((login) => ({
        session: login.session ?? '',
        begin: since,
        done: login.end < since ? done : Number.POSITIVE_INFINITY,
      }));
  }

  const endings = groupBy(history.flatMap(endingsOf), ({ session }) => session);
  const earliest = (session: string | undefined, which: 'begin' | 'done') =>
    Math.min(...(endings.get(session ?? '') ?? []).map((ending) => ending[which]));
  return {
    mayBeOver: (session, at) => earliest(session, 'begin') <= at,
    overSince: (session) => earliest(session, 'done'),
  };
}
