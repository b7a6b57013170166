import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { type WebSocket, WebSocketServer } from 'ws';
import { eventually } from '../support/eventually.ts';
import { startGateway } from '../support/upstream.ts';
import { echo, openSocket } from '../support/web-socket.ts';

const messageBytes = 64 * 1024;
const messages = 1024;
/** What two connections and the service may hold is a few MB: far less than all. */
const heldAtMost = messages / 2;

/** For all of it to come, however busy the machine is. */
const allOfItMs = 60_000;

/** Sends numbered messages, each as soon as the one before has been taken. */
function sendAll(socket: WebSocket): { taken: number } {
  const progress = { taken: 0 };
  const sendNext = (error?: Error) => {
    if (error || progress.taken === messages) return;
    const message = Buffer.alloc(messageBytes);
    message.writeUInt32BE(progress.taken);
    socket.send(message, (failure) => {
      if (!failure) progress.taken += 1;
      sendNext(failure);
    });
  };
  sendNext();
  return progress;
}

/** Counts messages that are what {@link sendAll} has sent, in its order. */
function countFrom(socket: WebSocket): { came: number } {
  const progress = { came: 0 };
  socket.on('message', (data: Buffer) => {
    if (data.length === messageBytes && data.readUInt32BE() === progress.came) progress.came += 1;
  });
  return progress;
}

function otherThan(side: 'application' | 'client') {
  return side === 'client' ? 'application' : 'client';
}

/** Waits until nothing more is taken while others are served: all of it runs in one process, which has nothing else to do. */
async function stuck(progress: { taken: number }, bystander: WebSocket): Promise<void> {
  let before = -1;
  for (let rounds = 0; rounds < 50; rounds += 1) {
    if (progress.taken !== before) rounds = 0;
    before = progress.taken;
    await echo(bystander, 'x');
  }
}

/** An application that answers by itself at `/open/echo` alone, and no handshake at `/open/held` before it is told to. */
async function startApplication(t: Test) {
  const server = createServer();
  const webSockets = new WebSocketServer({ noServer: true });
  const sockets: WebSocket[] = [];
  const held: { accept(): void; refuse(): void }[] = [];
  server.on('upgrade', (request, socket, head) => {
    const accept = () => webSockets.handleUpgrade(request, socket, head, (accepted) => sockets.push(accepted));
    if (request.url === '/open/held')
      held.push({ accept, refuse: () => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n') });
    else accept();
    if (request.url === '/open/echo') sockets.at(-1)?.on('message', (data, binary) => sockets[0]?.send(data, { binary }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => {
    for (const each of sockets) each.terminate();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets, held };
}

t.test('what is sent over a WebSocket is taken no faster than the other side takes it', async (t) => {
  const { url, sockets, held } = await startApplication(t);
  const { base, service } = await startGateway(t, { UPSTREAM_PUBLIC_PATHS: '/open', UPSTREAM_URL: url });
  const bystander = await openSocket(t, base, '/open/echo');
  await echo(bystander, 'x');

  /** The two ends of a WebSocket. */
  async function openPair() {
    const before = sockets.length;
    const client = await openSocket(t, base, '/open/live');
    await eventually('the application has heard of it', () => sockets.length > before);
    return { client, application: sockets.at(-1) as WebSocket };
  }

  const pair = await openPair();
  for (const from of ['application', 'client'] as const) {
    await t.test(`from the ${from}`, async (t) => {
      const [sender, receiver] = [pair[from], pair[otherThan(from)]];
      receiver.pause();
      const received = countFrom(receiver);
      const sent = sendAll(sender);
      await stuck(sent, bystander);
      t.ok(sent.taken < heldAtMost, `${sent.taken} of ${messages} were taken`);
      receiver.resume();
      await eventually('all of it has come, in order', () => received.came === messages, allOfItMs);
      await eventually('and it is known to have been taken', () => sent.taken === messages, allOfItMs);
    });
  }

  await t.test('pings, answers to them, and the end come through afterwards', async (t) => {
    const { client, application } = pair;
    for (const [one, other] of [
      [client, application],
      [application, client],
    ] as const) {
      const [heard, later] = [once(other, 'ping'), once(one, 'message')];
      const answers: string[] = [];
      one.on('pong', (data) => answers.push(String(data)));
      one.ping('are you there');
      t.equal(String((await heard)[0]), 'are you there');
      // The answer has been sent by then, and comes before this.
      other.send('later');
      await later;
      t.same(answers, ['are you there'], 'one answer');
    }
    const closed = once(client, 'close');
    application.close(4001, 'enough');
    const [code, reason] = await closed;
    t.same([code, String(reason)], [4001, 'enough']);
  });

  for (const [reader, leaver] of [
    ['application', 'application'],
    ['application', 'client'],
    ['client', 'application'],
    ['client', 'client'],
  ] as const) {
    await t.test(`and while the ${reader} does not read, the ${leaver} may end`, async () => {
      const ends = await openPair();
      ends[reader].pause();
      await stuck(sendAll(ends[otherThan(reader)]), bystander);
      const closed = once(ends[otherThan(leaver)], 'close');
      ends[leaver].terminate();
      // Whoever is still there and has not read finds the end behind what was sent before.
      if (reader !== leaver) ends[reader].resume();
      await closed;
    });
  }

  for (const answer of ['accept', 'refuse'] as const) {
    await t.test(`nor before the application has answered the handshake: ${answer}`, async (t) => {
      const client = await openSocket(t, base, '/open/held');
      let code = 0;
      client.once('close', (told) => {
        code = told;
      });
      const sent = sendAll(client);
      await eventually('the application has been asked', () => held.length > 0);
      await stuck(sent, bystander);
      t.ok(sent.taken < heldAtMost, `${sent.taken} of ${messages} were taken`);
      const before = sockets.length;
      held.pop()?.[answer]();
      if (answer === 'refuse') return eventually('the client is told', () => code === 1011);
      const received = countFrom(sockets[before] as WebSocket);
      await eventually('all of it has come, in order', () => received.came === messages, allOfItMs);
    });
  }

  await t.test('and while the application does not read, the service may end', async (t) => {
    const { application, client } = await openPair();
    application.pause();
    await stuck(sendAll(client), bystander);
    const [closed, told] = [once(client, 'close'), once(application, 'close')];
    await service.app.close();
    await closed;
    t.ok(application.isPaused);
    application.resume();
    t.equal((await told)[0], 3000 + 1005, 'the client has answered, and was not cut off');
  });
});
