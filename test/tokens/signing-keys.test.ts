import { calculateJwkThumbprint, exportJWK, importPKCS8, importSPKI, jwtVerify, SignJWT } from 'jose';
import t, { type Test } from 'tap';
import { loadConfig } from '../../src/config.ts';
import { openDataDirectory } from '../../src/data-directory.ts';
import type { Queryable } from '../../src/db/database.ts';
import { openDatabase } from '../../src/db/open.ts';
import { signingKeys } from '../../src/db/schema.ts';
import { openKeyRing } from '../../src/tokens/key-ring.ts';
import { findLastRevocation, renewSigningKeys } from '../../src/tokens/signing-keys.ts';
import { ManualClock } from '../support/clock.ts';
import { createDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

const clock = new ManualClock();
const secrets = ['the secret that the keys are sealed with'];
const open = (db: Queryable, by: readonly string[] = secrets) =>
  openKeyRing({ db, secrets: by, clock, rotationDays: 30, accessTtlSeconds: 300 });

async function openEmptyDatabase(t: Test) {
  const { databaseUrl, dataDir } = loadConfig(await createDatabase(t));
  await openDataDirectory(dataDir);
  const database = await openDatabase({ url: databaseUrl, dataDir, announce: () => {}, onIdleError: () => {} });
  t.teardown(() => database.close());
  return database.db;
}

t.test('signing keys', async (t) => {
  const db = await openEmptyDatabase(t);

  await t.test('instances that start at once on an empty database make one key, and share it', async (t) => {
    const loaded = await Promise.all(Array.from({ length: 5 }, () => open(db)));
    t.equal(new Set(loaded.map((ring) => ring.current().privateKey)).size, 1);
    t.equal((await db.select().from(signingKeys)).length, 1);
  });

  await t.test('the two halves belong together, and are named by their thumbprint', async (t) => {
    const ring = await open(db);
    const current = ring.current();
    const verifier = await importSPKI(current.publicKey, 'ES256', { extractable: true });
    const token = await new SignJWT({}).setProtectedHeader({ alg: 'ES256' }).sign(await importPKCS8(current.privateKey, 'ES256'));
    t.ok(await jwtVerify(token, verifier));
    t.equal(current.kid, await calculateJwkThumbprint(await exportJWK(verifier), 'sha256'));
    t.equal(ring.publicKey(current.kid), current.publicKey);
    t.equal(ring.publicKey('another'), undefined);
  });

  await t.test('what the database holds signs nothing', async (t) => {
    const current = (await open(db)).current();
    const [row] = await db.select().from(signingKeys);
    t.equal(row?.publicKey, current.publicKey);
    const secretPart = current.privateKey.split('\n')[1] ?? '';
    t.ok(secretPart.length > 0);
    t.notOk(row?.sealedPrivateKey.includes(secretPart));
    t.notOk(row?.sealedPrivateKey.includes('PRIVATE KEY'));
  });

  await t.test('keys that were sealed with another secret are not opened, and are not replaced either', async (t) => {
    await t.rejects(open(db, ['a secret that nothing was sealed with']), { message: /AUTH_SECRET/ });
    t.equal((await db.select().from(signingKeys)).length, 1);
  });

  await t.test('an older secret that is kept behind a new one still opens them', async (t) => {
    const before = await open(db);
    const after = await open(db, ['a newer secret', ...secrets]);
    t.same(after.current(), before.current());
    const alone = await open(db, ['a newer secret']);
    t.same(alone.current(), before.current(), 'it has been sealed anew, so that the older one can go');
    await open(db, [...secrets, 'a newer secret']);
  });

  await t.test('a sealed key that was moved to another name is not opened', async (t) => {
    const [row] = await db.select().from(signingKeys);
    if (row === undefined) throw new Error('there is no key');
    const copy = { ...row, kid: 'another', createdAt: new Date(row.createdAt.getTime() + 1000) };
    await db.insert(signingKeys).values(copy);
    await t.rejects(open(db), { message: /AUTH_SECRET/ });
  });

  await t.test('a key is published before it signs, and stays published until its last token is dead', async (t) => {
    await db.delete(signingKeys);
    const ring = await open(db);
    const first = ring.current();
    clock.advance({ days: 30 });
    await ring.refresh();
    const [, second] = ring.published();
    t.equal(ring.published().length, 2);
    t.equal(ring.current().kid, first.kid, 'the new one does not sign yet');
    clock.advance({ minutes: 10 });
    t.equal(ring.current().kid, second?.kid);
    clock.advance({ minutes: 5, seconds: 55 });
    await ring.refresh();
    t.equal(ring.publicKey(first.kid), first.publicKey, 'a token of the old one may still live');
    clock.advance({ seconds: 10 });
    await ring.refresh();
    t.equal(ring.publicKey(first.kid), undefined);
    t.same(
      ring.published().map(({ kid }) => kid),
      [second?.kid],
    );
    t.equal((await db.select().from(signingKeys)).length, 1);
  });

  await t.test(
    'a revoked key is gone at the next look, those who remember its tokens are told, and another one signs at once',
    async (t) => {
      const ring = await open(db);
      const { kid } = ring.current();
      let told = 0;
      ring.onChange(() => {
        told += 1;
      });
      await ring.refresh();
      t.equal(told, 0);
      t.equal(ring.lastRevocation(), null);
      const at = clock.now();
      await renewSigningKeys(db, { secrets, clock, revoke: (key) => key.kid === kid, decide: () => 'none' });
      await ring.refresh();
      t.equal(told, 1);
      t.equal(ring.publicKey(kid), undefined);
      t.ok((ring.lastRevocation() ?? 0) >= at, 'what else was signed until then is known to be void');
      t.not(ring.current().kid, kid);
    },
  );

  await t.test('a look at the database that fails half-way does not keep those from being told', async (t) => {
    let selects = 0;
    let failsAt = 0;
    const unsteady = new Proxy(db, {
      get(target, name) {
        const value = Reflect.get(target, name);
        if (name !== 'select') return typeof value === 'function' ? value.bind(target) : value;
        return (...args: Parameters<Queryable['select']>) => {
          selects += 1;
          if (selects === failsAt) throw new Error('the database has gone away');
          return target.select(...args);
        };
      },
    });
    const ring = await open(unsteady);
    const { kid } = ring.current();
    let told = 0;
    ring.onChange(() => {
      told += 1;
    });
    await renewSigningKeys(db, { secrets, clock, revoke: (key) => key.kid === kid, decide: () => 'at once' });
    failsAt = selects + 2;
    await t.rejects(ring.refresh(), { message: 'the database has gone away' });
    await ring.refresh();
    t.equal(told, 1);
    t.equal(ring.publicKey(kid), undefined);
  });

  await t.test('a look whose answer is late brings no key back that a later one has seen to be revoked', async (t) => {
    const { holdBack, slowly } = holdingBack(db);
    const ring = await open(slowly);
    const { kid } = ring.current();
    const { isHeld, release } = holdBack();
    const slow = ring.refresh();
    await eventually('it has read the keys', isHeld);
    await renewSigningKeys(db, { secrets, clock, revoke: (key) => key.kid === kid, decide: () => 'at once' });
    const later = ring.refresh();
    // As many answers as it would have, and more, if it did not wait until the slow one is done.
    for (let answers = 0; answers < 10; answers += 1) await findLastRevocation(db);
    release();
    await Promise.all([slow, later]);
    t.equal(ring.publicKey(kid), undefined);
    t.not(ring.current().kid, kid);
  });

  await t.test('of keys that have gone everybody is told, even when there is no making another', async (t) => {
    let isAway = false;
    const away = async () => {
      throw new Error('the database is away');
    };
    const failing = new Proxy(db, {
      get(target, name) {
        const value = isAway && name === 'transaction' ? away : Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const ring = await open(failing);
    let told = 0;
    ring.onChange(() => {
      told += 1;
    });
    await db.delete(signingKeys);
    isAway = true;
    await t.rejects(ring.refresh(), /away/);
    t.equal(told, 1, 'what was verified with them is not believed any longer');
    t.throws(() => ring.current(), { code: 'service_unavailable' });
    isAway = false;
    await ring.refresh();
    t.equal(ring.published().length, 1);
  });

  await t.test('rotation by hand only makes no key by itself', async (t) => {
    const before = (await open(db)).published().length;
    const ring = await openKeyRing({ db, secrets, clock, rotationDays: 0, accessTtlSeconds: 300 });
    clock.advance({ days: 400 });
    await ring.refresh();
    t.equal(ring.published().length, before);
  });
});

/** A database of which one answer can be held back: when a key was revoked last, which a look asks for after the keys. */
function holdingBack(db: Queryable) {
  let gate: Promise<void> | undefined;
  function select(...args: Parameters<Queryable['select']>) {
    const query = db.select(...args);
    const opened = gate;
    if (opened === undefined || args[0]?.['at'] === undefined) return query;
    gate = undefined;
    return { from: (table: typeof signingKeys) => opened.then(() => query.from(table)) };
  }
  const slowly = new Proxy(db, {
    get(target, name) {
      const value = name === 'select' ? select : Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  function holdBack() {
    let release = () => {};
    gate = new Promise((resolve) => {
      release = resolve;
    });
    return { isHeld: () => gate === undefined, release };
  }
  return { slowly, holdBack };
}
