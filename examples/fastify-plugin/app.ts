// Latchkey in an application of your own: its accounts, and its guard on your routes.
import { fastify } from 'fastify';
import { latchkey, requireUser } from 'latchkey';

// The first start makes the embedded database, and one on a server may wait for migrations: longer than Fastify's ten seconds.
const app = fastify({ pluginTimeout: 60_000 });
await app.register(latchkey, { env: process.env });

// Says nothing of access: for confirmed users only.
app.get('/notes', async (request) => ({ notes: [`A note for ${requireUser(request).username}.`] }));

app.get('/welcome', { config: { access: 'visitor' } }, async ({ user }) => ({ hello: user?.username ?? 'Stranger' }));

app.get('/reports', { config: { role: 'admin' } }, async () => ({ reports: [] }));

await app.listen({ port: Number(process.env['PORT'] ?? 3000) });

// Closing ends what is open, and gives the database back.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void app.close());
