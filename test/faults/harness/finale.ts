import type { Graveyard } from './graveyard.ts';
import { confirmationPath, type Deeds, type Person } from './people.ts';
import type { Sink } from './sink.ts';

interface FinaleOptions {
  readonly deeds: Deeds;
  readonly graveyard: Graveyard;
  readonly sink: Sink;
}

/** Of each kind, so many of the last are tried when all is over. */
const sample = 100;

/**
 * When all is over, all who know their password log in; of those who have not tried to confirm, and of what is dead, the
 * last try once more.
 */
export async function playFinale(people: readonly Person[], { deeds, graveyard, sink }: FinaleOptions): Promise<void> {
  const certain = people.filter(({ isUnsure }) => !isUnsure);
  await atOnce(8, certain, async (person) => {
    await deeds.logIn(person, 'log in at the end');
  });
  const unconfirmed = certain.filter(({ hasTriedToConfirm, email }) => !hasTriedToConfirm && !sink.refused.has(email)).slice(-sample);
  await atOnce(8, unconfirmed, async (person) => {
    const session = await deeds.logIn(person);
    if (session) await deeds.read(person, session);
    const token = sink.newestToken(person.email, confirmationPath);
    if (token !== undefined) await deeds.confirm(person, token, 'confirm at the end');
    if (session) await deeds.read(person, session);
  });
  await graveyard.disturbAll(sample);
}

async function atOnce<Item>(lanes: number, items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const rest = [...items];
  const lane = async () => {
    for (let item = rest.pop(); item !== undefined; item = rest.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
