import type { Evidence } from './evidence.ts';
import { groupBy } from './group.ts';
import type { Entry, Operation } from './history.ts';
import { findSessionEnds } from './session-ends.ts';

/** What may be refused at all, and by which codes; what must not be, under any circumstances, has none. */
const codes: Readonly<Record<Operation, readonly string[]>> = {
  register: ['email_taken', 'username_taken'],
  'log in': [],
  // When it may be, the promise of mailed links says.
  confirm: ['expired_token'],
  read: ['unauthenticated', 'unconfirmed'],
  refresh: ['invalid_refresh_token'],
  'log out': ['unauthenticated'],
  'ask for a reset': [],
  reset: ['used_token'],
  'read as a stranger': ['unauthenticated'],
  'log in with a wrong password': ['invalid_credentials'],
  'read with a dead session': ['unauthenticated'],
  'refresh a dead session': ['invalid_refresh_token'],
  'refresh with a spent token': ['invalid_refresh_token'],
  'log in with an old password': ['invalid_credentials'],
  'reset with a spent token': ['used_token', 'expired_token'],
  'log in at the end': [],
  'confirm at the end': ['expired_token'],
};

/** An access token that was made so long ago may be over. */
const tokenLivesMs = 250_000;

/** Refusals, of whatever is certain to be right, that nothing which any client has done explains. */
export function findUnexplainedRefusals({ history, faults, accounts }: Pick<Evidence, 'history' | 'faults' | 'accounts'>): Entry[] {
  const ends = findSessionEnds({ history, faults });
  const done = groupBy(
    history.filter(({ outcome }) => outcome === 'ok'),
    ({ operation }) => operation,
  );
  const tokens = groupBy([...(done.get('log in') ?? []), ...(done.get('refresh') ?? [])], ({ session = '' }) => session);
  const confirmations = groupBy(done.get('confirm') ?? [], ({ person }) => person);
  const existing = new Set(accounts.map(({ email }) => email.toLowerCase()));
  const owners = new Map(accounts.map(({ email, username }) => [username.toLowerCase(), email.toLowerCase()]));

  /** What two instances with different clocks had to do with. */
  const isByOtherClocks = ({ start, end }: Entry) =>
    faults.some(({ kind, from, to }) => kind.includes('clock') && start <= to && end >= from);
  const isConfirmed = ({ person, start }: Entry) => (confirmations.get(person) ?? []).some(({ end }) => end < start);

  /** Whether it came with a token that certainly was good. */
  function hadGoodToken(entry: Entry): boolean {
    const { operation, session = '', since, start, end } = entry;
    const token = tokens.get(session)?.findLast((each) => each.end < start);
    if (token === undefined || start - token.end > tokenLivesMs || isByOtherClocks(token) || isByOtherClocks(entry)) return false;
    // What ends it itself is not what has ended it before.
    return since === start && !ends.mayBeOver(session, operation === 'log out' ? start - 1 : end);
  }

  return history.filter((entry) => {
    const { operation, outcome, status, code = '', person } = entry;
    if (outcome !== 'fail') return false;
    if (!codes[operation].includes(code)) return true;
    if (operation === 'register') return code === 'username_taken' ? !owners.has(entry.username ?? '') : !existing.has(person);
    if (operation !== 'read' && operation !== 'log out') return false;
    return status === 403 ? isConfirmed(entry) : hadGoodToken(entry);
  });
}
