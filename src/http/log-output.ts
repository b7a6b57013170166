import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** Where a process writes its lines: standard output, as Node.js has opened it. */
export type Output = NodeJS.WritableStream & { readonly fd: number };

interface LogOutputOptions {
  readonly output: Output;
  /** How much waits in memory, at most, while it cannot be written; in characters. */
  readonly capacity?: number;
  /** Told how many lines were dropped, as soon as others can be written again. */
  readonly tell: (dropped: number) => void;
}

export interface LogOutput {
  write(line: string): void;
  /** Resolves when everything is written, or after a second: whoever reads that slowly does without the rest. */
  drained(): Promise<void>;
}

interface Sink {
  write(text: string, done: (error?: Error | null) => void): void;
  /** Without waiting for anything. */
  writeLast(text: string): void;
}

/** Some thirty thousand lines. */
const defaultCapacity = 8 * 1024 * 1024;
const drainsWithinMs = 1000;

/**
 * A log that holds nobody up and ends nothing: lines wait in memory while a pipe is not read, and are dropped when they are
 * too many, or when there is no room for them on a disk.
 *
 * Loggers as they are would let memory grow without end, fail on a full disk, or hang at the end of the process.
 */
export function openLogOutput({ output, capacity = defaultCapacity, tell }: LogOutputOptions): LogOutput {
  const sink = output instanceof Socket ? pipeSink(output) : fileSink(output);
  // Whoever read a pipe may have gone, and a disk be full; and others may write to it, too.
  output.on('error', () => {});
  let waiting: string[] = [];
  let waitingLength = 0;
  /** Or about to. */
  let isWriting = false;
  let dropped = 0;

  function takeAll(): string[] {
    const lines = waiting;
    waiting = [];
    waitingLength = 0;
    return lines;
  }

  /** What comes within one turn of the event loop is written together: a write takes longer than all the rest of a line. */
  function flushSoon(): void {
    isWriting = true;
    setImmediate(flush);
  }

  function flush(): void {
    const lines = takeAll();
    isWriting = true;
    sink.write(lines.join(''), (error) => {
      isWriting = false;
      if (error) dropped += lines.length;
      // First, so that there is room for the line that tells of those that are missing.
      if (waiting.length > 0) flush();
      if (!error && dropped > 0) tellDropped();
    });
  }

  function tellDropped(): void {
    const count = dropped;
    dropped = 0;
    tell(count);
  }

  process.once('exit', () => sink.writeLast(takeAll().join('')));
  return {
    write(line) {
      if (waitingLength + line.length > capacity) {
        dropped += 1;
        return;
      }
      waiting.push(line);
      waitingLength += line.length;
      if (!isWriting) flushSoon();
    },

    async drained() {
      const end = performance.now() + drainsWithinMs;
      while (isWriting && performance.now() < end) await pause(10);
    },
  };
}

/** A pipe, a socket or a terminal, to which Node.js writes as much as it takes at once, and the rest when it takes more. */
function pipeSink(socket: Socket): Sink {
  return {
    write: (text, done) => void socket.write(text, done),
    writeLast: (text) => void socket.write(text),
  };
}

/**
 * A file takes a line at once, or not at all.
 *
 * A line that a full disk has cut off is ended before the next, which would be lost with it otherwise.
 */
function fileSink(file: Output): Sink {
  let isCutOff = false;

  function write(text: string): Error | undefined {
    let rest = Buffer.from(isCutOff ? `\n${text}` : text);
    try {
      while (rest.length > 0) {
        rest = rest.subarray(writeSync(file.fd, rest));
        isCutOff = rest.length > 0;
      }
      return undefined;
    } catch (error) {
      return error as Error;
    }
  }

  return {
    write: (text, done) => done(write(text)),
    writeLast: write,
  };
}
