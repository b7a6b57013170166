/** What is used of a WebSocket to write to it: what stands in the frame, how it is framed, and who is told when it is written, or never will be. */
interface Writer {
  readonly readyState: number;
  readonly OPEN: number;
  send(data: Buffer, how?: unknown, done?: (error?: Error) => void): void;
  ping(data: Buffer, how?: unknown, done?: (error?: Error) => void): void;
  pong(data: Buffer, how?: unknown, done?: (error?: Error) => void): void;
}

/** What is used of a WebSocket to read from it. */
interface Reader {
  readonly isPaused: boolean;
  pause(): void;
  resume(): void;
  close(code?: number, reason?: string | Buffer): void;
}

/** One side of what is passed on. */
export type PacedSocket = Writer & Reader;

/** How much may wait to be written to one side before nothing more is read from the other. */
const maxUnwrittenBytes = 1024 * 1024;
/** About what a frame takes while it waits: a million of empty ones would count for nothing. */
const frameBytes = 512;

/**
 * Reads from each of two WebSockets, of which whatever comes is sent to the other, no faster than the other takes it.
 *
 * When one of them ends, the other is read again: what waited has been written by then, or never will be. One that is
 * closed from here is read again, too, since its answer comes behind whatever it has sent; that is dropped.
 */
export function keepPace(one: PacedSocket, other: PacedSocket): void {
  readAsWritten(one, other);
  readAsWritten(other, one);
}

function readAsWritten(from: Reader, to: Writer): void {
  let unwritten = 0;
  // When it is the peer that closes, or is gone, all that it has sent is still passed on: nothing comes behind its close frame.
  let isClosed = false;
  const close = from.close.bind(from);
  from.close = (code, reason) => {
    isClosed = true;
    close(code, reason);
    from.resume();
  };
  for (const kind of ['send', 'ping', 'pong'] as const) {
    const write = to[kind].bind(to);
    to[kind] = (data, how, done) => {
      if (isClosed) return done?.();
      const bytes = data.length + frameBytes;
      write(data, how, (error) => {
        unwritten -= bytes;
        if (unwritten <= maxUnwrittenBytes && from.isPaused) from.resume();
        done?.(error);
      });
      unwritten += bytes;
      // To one that is about to end nothing more is written.
      if (unwritten > maxUnwrittenBytes && to.readyState === to.OPEN) from.pause();
    };
  }
}
