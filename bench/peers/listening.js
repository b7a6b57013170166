import { once } from 'node:events';

/** The port of the environment; 0 is any that is free. */
export const port = Number(process.env.PORT ?? 0);

/** The only address that peers listen on. */
export const host = '127.0.0.1';

/** Listens, and tells on which port. */
export async function listen(server) {
  server.listen(port, host);
  await once(server, 'listening');
  return server.address().port;
}

/** Tells who started the process that it listens, and ends it on SIGTERM. */
export function ready(listeningPort, close) {
  process.once('SIGTERM', async () => {
    await close();
    process.exit();
  });
  console.log(`ready ${listeningPort}`);
}
