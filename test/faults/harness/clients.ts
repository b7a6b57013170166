import { setTimeout as pause } from 'node:timers/promises';
import { createGraveyard, type Graveyard } from './graveyard.ts';
import type { History } from './history.ts';
import { createDeeds, type Deeds, type Person } from './people.ts';
import { createRandom, type Random } from './seed.ts';
import type { Sink } from './sink.ts';
import { compete, keepReading, live, type Scene } from './story.ts';
import { createWire } from './wire.ts';

/** People who use the service, at a steady rate. */
export interface Clients {
  readonly deeds: Deeds;
  readonly graveyard: Graveyard;
  /** Those of whom there are accounts. */
  readonly people: readonly Person[];
  /** Has somebody register with an address at a domain. */
  registerAt(domain: string): Promise<Person>;
  /** Waits until they have done what they are at. */
  stop(): Promise<void>;
}

interface ClientOptions {
  readonly base: string;
  readonly history: History;
  readonly seed: number;
  readonly sink: Sink;
  /** Whether so few of them are at it that there is room for something else. */
  readonly areFew?: boolean;
}

/** How many are at it at the same time, and how many of those who try what is dead. */
const many = { people: 14, thieves: 4 };
const few = { people: 4, thieves: 2 };
const readers = 3;
/** How often two want one user name. */
const rivalry = 0.1;
const thiefPauseMs = 250;

export function startClients({ base, history, seed, sink, areFew = false }: ClientOptions): Clients {
  const crowd = areFew ? few : many;
  const people: Person[] = [];
  let count = 0;
  let isOver = false;
  const wire = createWire(base, history);
  const deeds = createDeeds(wire, sink, () => isOver);
  const graveyard = createGraveyard(wire, history.now);

  function newPerson(domain = 'example.com'): Person {
    count += 1;
    return {
      email: `person${count}@${domain}`,
      username: `person${count}`,
      password: `a password of ${count} own`,
      hasTriedToConfirm: false,
    };
  }

  const sceneOf = (random: Random): Scene => ({ deeds, graveyard, history, random, wire, isOver: () => isOver });

  async function actor(index: number): Promise<void> {
    const random = createRandom(seed + index + 1);
    await pause(random.between(0, 2000));
    while (!isOver) {
      const person = newPerson();
      if (random.chance(rivalry)) {
        const rival = { ...newPerson(), username: person.username };
        people.push(...(await compete({ deeds }, [person, rival])));
      } else if (await live(sceneOf(random), person)) people.push(person);
    }
  }

  async function reader(index: number): Promise<void> {
    const person = newPerson('reader.example');
    if (!(await deeds.register(person))) return;
    people.push(person);
    await keepReading(sceneOf(createRandom(seed + crowd.people + index + 1)), person);
  }

  async function thief(index: number): Promise<void> {
    const random = createRandom(seed - index - 1);
    while (!isOver) {
      await graveyard.disturb(random);
      await pause(thiefPauseMs);
    }
  }

  const work = [
    ...Array.from({ length: crowd.people }, (_, index) => actor(index)),
    ...Array.from({ length: crowd.thieves }, (_, index) => thief(index)),
    ...Array.from({ length: readers }, (_, index) => reader(index)),
  ];
  return {
    deeds,
    graveyard,
    people,
    async registerAt(domain) {
      const person = newPerson(domain);
      if (await deeds.register(person)) people.push(person);
      return person;
    },
    async stop() {
      isOver = true;
      await Promise.all(work);
    },
  };
}
