import type { Lock } from '../client/client.ts';
import type { HeldSession, SessionStore } from '../client/session-store.ts';

const name = 'latchkey-session';
const key = 'current';
const tabs = new BroadcastChannel(name);
let opened: Promise<IDBDatabase> | undefined;

/**
 * Remembers the session for all tabs of the browser. For cookie mode: tokens do not belong here.
 *
 * In IndexedDB, for a tab that gets the lock must see what the one before it has written. `localStorage` promises no
 * such thing: it may reach another tab later than the lock does (HTML, Web storage, "The localStorage getter").
 */
export const sharedByTabs: SessionStore = {
  read: () => inStore('readonly', (store): IDBRequest<HeldSession | undefined> => store.get(key)),
  async write(session) {
    if (session === undefined) await inStore('readwrite', (store) => store.delete(key));
    else await inStore('readwrite', (store) => store.put(session, key));
    tabs.postMessage(undefined);
  },
};

/** Calls back when another tab has logged in, refreshed, or logged out. */
export function onOtherTab(callback: () => void): void {
  tabs.addEventListener('message', callback);
}

/** One tab after the other. */
export const oneTabAtATime: Lock = async (work) => await navigator.locks.request(name, work);

/** Runs one request in a transaction of its own, and answers when that is over. */
async function inStore<Result>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<Result>): Promise<Result> {
  opened ??= open();
  const transaction = (await opened).transaction(name, mode);
  const request = ask(transaction.objectStore(name));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

function open(): Promise<IDBDatabase> {
  const request = indexedDB.open(name);
  request.onupgradeneeded = () => request.result.createObjectStore(name);
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
