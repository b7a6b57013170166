import type { History } from './history.ts';
import { confirmationPath, type Deeds, type Person } from './people.ts';
import type { Sink } from './sink.ts';

/** People who register and confirm at a steady rate, whether or not those before them have been answered. */
export interface Load {
  /** The most that were at it at the same time. */
  mostUnderWay(): number;
  /** Begins nothing more, and waits until those who are at it have done it. */
  stop(): Promise<void>;
  /** Has all those confirm who have not tried to; answers how many had no mail to do it with. */
  confirmRest(): Promise<number>;
}

interface LoadOptions {
  readonly deeds: Pick<Deeds, 'register' | 'confirm'>;
  readonly history: Pick<History, 'now'>;
  readonly sink: Pick<Sink, 'newestToken'>;
  readonly perSecond: number;
}

const domain = 'load.example';
export const isOfLoad = (address: string) => address.endsWith(`@${domain}`);

const tickMs = 5;
/** How many of those who wait for a mail are asked each time if it has come: it comes in another order than it is due. */
const asked = 50;
/** When so many are at it, those who are due stay away: it would be their crowd that keeps the service from coming back. */
const crowd = 400;

/** Each time that one is due, somebody confirms whose mail has come, or else somebody new registers. */
export function startLoad({ deeds, history, sink, perSecond }: LoadOptions): Load {
  const tasks = new Set<Promise<void>>();
  let waiting: Person[] = [];
  let [count, turns, most] = [0, 0, 0];
  const began = history.now();
  const hasMail = ({ email }: Person) => sink.newestToken(email, confirmationPath) !== undefined;

  async function registerOne(): Promise<void> {
    count += 1;
    const names = { email: `load${count}@${domain}`, username: `load${count}` };
    const person: Person = { ...names, password: `a password of load ${count}`, hasTriedToConfirm: false };
    if (await deeds.register(person)) waiting.push(person);
  }

  async function confirmOne(person: Person, operation: 'confirm' | 'confirm at the end'): Promise<void> {
    await deeds.confirm(person, sink.newestToken(person.email, confirmationPath) as string, operation);
  }

  /** Those who have waited longest come first; those whose mail has to wait for a lease to end, at the end. */
  function takeOneWithMail(): Person | undefined {
    const first = waiting.slice(0, asked);
    const index = first.findIndex(hasMail);
    if (index === -1) {
      waiting = [...waiting.slice(asked), ...first];
      return undefined;
    }
    return waiting.splice(index, 1)[0];
  }

  function begin(): void {
    turns += 1;
    if (tasks.size >= crowd) return;
    const person = takeOneWithMail();
    const task = (person ? confirmOne(person, 'confirm') : registerOne()).finally(() => tasks.delete(task));
    tasks.add(task);
    most = Math.max(most, tasks.size);
  }

  const timer = setInterval(() => {
    for (const due = ((history.now() - began) / 1000) * perSecond; turns < due; ) begin();
  }, tickMs);

  return {
    mostUnderWay: () => most,
    async stop() {
      clearInterval(timer);
      await Promise.all(tasks);
    },
    async confirmRest() {
      const lucky = waiting.filter(hasMail);
      const without = waiting.length - lucky.length;
      waiting = [];
      for (const person of lucky) await confirmOne(person, 'confirm at the end');
      return without;
    },
  };
}
