import { Readable } from 'node:stream';
import type { Event } from '../identity/event-schema.ts';
import { exportLimit } from '../limits/limits.ts';
import { createPlaces } from '../limits/places.ts';
import { Problem } from '../problems/problem.ts';
import type { Services } from '../services.ts';
import { gatherAccount } from './export-account.ts';
import type { AccountExport } from './schemas.ts';

/** Exports at an instance of which there is more to read from the database. */
const places = { ofAccount: 1, ofNetwork: 20, ofAll: 100 };
const retryAfterSeconds = 60;
/** Longer than it takes anybody who reads as fast as they can; nobody is to keep a place by reading a byte now and then. */
const longestMs = 10 * 60 * 1000;

interface ExportRequest {
  readonly userId: string;
  readonly ip: string;
  /** Writes a document as the schema of the answer says. */
  readonly serialize: (document: AccountExport) => string;
}

/**
 * Opens exports of accounts: documents of any length, read from the database as their clients take them.
 *
 * One that fails half-way is destroyed, so that nobody takes it for a whole one.
 */
export function createExports({ clock, config, db, limits }: Pick<Services, 'clock' | 'config' | 'db' | 'limits'>) {
  const exporting = createPlaces({ ...places, isOn: config.rateLimit, retryAfterSeconds });

  /**
   * @throws Problem `rate_limited` after ten exports in an hour, and while there is another one of the account
   * @throws Problem `service_unavailable` when there are too many
   * @throws Problem `unauthenticated` when the account has gone since the session was checked
   */
  return async function openExport({ userId, ip, serialize }: ExportRequest): Promise<Readable> {
    const leave = exporting.take({ userId, ip });
    try {
      await limits.limiter.take([{ limit: exportLimit, subject: userId }]);
      const { document, eventPages } = await gatherAccount(db, userId, clock.now());
      const stream = Readable.from(written(serialize(document), eventPages, leave));
      const timer = setTimeout(() => stream.destroy(new Problem('service_unavailable', { retryAfterSeconds })), longestMs).unref();
      return stream.once('close', () => {
        clearTimeout(timer);
        leave();
      });
    } catch (error) {
      leave();
      throw error;
    }
  };
}

/**
 * Puts events into a document without any.
 *
 * @param allRead called before the end is sent: whoever has got it may ask for the next export
 */
async function* written(document: string, pages: AsyncIterable<readonly Event[]>, allRead: () => void): AsyncGenerator<string> {
  // Within a text a quote is escaped: this is nowhere else.
  const [head, tail] = document.split('"events":[]') as [string, string];
  // With the first page, so that a database which fails at once is answered as ever.
  let before = `${head}"events":[`;
  for await (const page of pages) {
    yield before + page.map((event) => JSON.stringify(event)).join(',');
    before = ',';
  }
  allRead();
  yield `${before === ',' ? '' : before}]${tail}`;
}
