import type { Evidence } from './evidence.ts';
import { groupBy } from './group.ts';
import type { Entry } from './history.ts';
import { confirmationPath } from './people.ts';

/** How long a mailed link confirms, and how far the clock of who signed it may be from that of who reads it. */
const lifetimeMs = 3_600_000;
const clocksMs = 300_000;

/** Whether the newest link of a person who followed it may have been over by then, and whether it must have been. */
export function judgeLinkAges({ copies }: Pick<Evidence, 'copies'>) {
  const links = groupBy(
    copies.filter(({ link }) => link?.includes(confirmationPath)),
    ({ recipient }) => recipient,
  );
  const ageOf = ({ person, start }: Entry) => start - (links.get(person)?.findLast(({ at }) => at <= start)?.at ?? start);
  return {
    mayBeOver: (entry: Entry) => ageOf(entry) > lifetimeMs - clocksMs,
    mustBeOver: (entry: Entry) => ageOf(entry) > lifetimeMs + clocksMs,
  };
}
