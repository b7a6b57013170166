import type { Graveyard } from './graveyard.ts';
import { confirmationPath, type Deeds, type Person } from './people.ts';
import type { Random } from './seed.ts';
import type { Sink } from './sink.ts';

interface FinaleOptions {
  readonly deeds: Deeds;
  readonly graveyard: Graveyard;
  readonly sink: Sink;
  readonly random: Random;
}

/** Of each kind, so many are tried when all is over. */
const sample = 300;

/**
 * When all is over, all who know their password log in; of those who have not tried to confirm, and of all that has died,
 * some try once more: any of them, not the last ones, of whom the service may still know what it forgets.
 */
export async function playFinale(people: readonly Person[], { deeds, graveyard, sink, random }: FinaleOptions): Promise<void> {
  const certain = people.filter(({ isUnsure }) => !isUnsure);
  await atOnce(8, certain, async (person) => {
    await deeds.logIn(person, 'log in at the end');
  });
  const unconfirmed = certain.filter(({ hasTriedToConfirm, email }) => !hasTriedToConfirm && !sink.refused.has(email));
  await atOnce(8, random.sample(unconfirmed, sample), async (person) => {
    const session = await deeds.logIn(person);
    if (session) await deeds.read(person, session);
    const token = sink.newestToken(person.email, confirmationPath);
    if (token !== undefined) await deeds.confirm(person, token, 'confirm at the end');
    if (session) await deeds.read(person, session);
  });
  await graveyard.disturbSome(random, sample);
}

async function atOnce<Item>(lanes: number, items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const rest = [...items];
  const lane = async () => {
    for (let item = rest.pop(); item !== undefined; item = rest.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
