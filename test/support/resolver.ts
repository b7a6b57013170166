import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';

/** A resolver of names that says nothing, until it is told to; then every name is that of this machine. */
export interface Resolver {
  /** What it has been asked so far. */
  readonly questions: readonly string[];
  /** Answers, what it has been asked before included. */
  speak(): void;
  /** A command, run where there is no other resolver. */
  under(command: readonly [string, ...string[]]): readonly [string, ...string[]];
}

/** Of loopback, where nobody else listens for names; for each process another one. */
const address = `127.${[0, 0, 0].map(() => randomInt(1, 255)).join('.')}`;
const headerLength = 12;
const typeA = 1;

const maySay = spawnSync('unshare', ['--mount', 'true']).status === 0;
/** Why there can be none; false when there can. In CI there always is one. */
export const noResolver = process.env['CI'] === undefined && !maySay ? 'this user may not say where names are looked up' : false;

export async function startResolver(t: Test): Promise<Resolver> {
  const socket = createSocket('udp4').bind(53, address);
  t.teardown(() => void socket.close());
  await once(socket, 'listening');
  // One question, and nothing else for as long as the test may take.
  const configuration = join(t.testdir(), 'resolv.conf');
  await writeFile(configuration, `nameserver ${address}\noptions timeout:30 attempts:1\n`);
  const questions: string[] = [];
  const waiting: (() => void)[] = [];
  let isSilent = true;
  socket.on('message', (query, { port, address: client }) => {
    questions.push(nameIn(query));
    const answer = () => socket.send(answerTo(query), port, client);
    if (isSilent) waiting.push(answer);
    else answer();
  });
  return {
    questions,
    speak() {
      isSilent = false;
      for (const answer of waiting) answer();
    },
    under: (command) =>
      [
        ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c'],
        ...[`mount --bind '${configuration}' /etc/resolv.conf && exec "$0" "$@"`, ...command],
      ] as unknown as readonly [string, ...string[]],
  };
}

/** The name that a query asks for (RFC 1035 §4.1.2). */
function nameIn(query: Buffer): string {
  const labels: string[] = [];
  for (let at = headerLength, length = query[at] ?? 0; length > 0; at += length + 1, length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
  }
  return labels.join('.');
}

/** 127.0.0.1 for a question of an IPv4 address, and that there is none for any other (RFC 1035 §4.1). */
function answerTo(query: Buffer): Buffer {
  const end = headerLength + nameIn(query).length + 2 + 4;
  const hasAddress = query.readUInt16BE(end - 4) === typeA;
  const header = Buffer.alloc(headerLength);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(hasAddress ? 1 : 0, 6);
  // The name is that of the question; of the Internet, for a minute, four bytes.
  const record = Buffer.from([0xc0, headerLength, 0, typeA, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
  return Buffer.concat([header, query.subarray(headerLength, end), ...(hasAddress ? [record] : [])]);
}
