import type { Api } from '../client/client.ts';

const pauseMs = 2000;

/**
 * Calls back when the address of the logged-in user has been confirmed, in whatever tab or device.
 *
 * The service ends a stream after five minutes, and the access token may be over by then. An `EventSource` cannot refresh
 * it; the request that comes before the next stream does.
 *
 * @returns ends the wait
 */
export function awaitConfirmation(api: Api, onConfirmed: () => void): () => void {
  let isOver = false;
  let source = open();

  function open(): EventSource {
    const opened = new EventSource('/auth/confirm/events');
    opened.addEventListener('confirmed', finish);
    opened.addEventListener('error', () => {
      // While the connection is only lost, it connects again by itself.
      if (opened.readyState === EventSource.CLOSED) setTimeout(lookAndOpen, pauseMs);
    });
    return opened;
  }

  async function lookAndOpen(): Promise<void> {
    if (isOver) return;
    // Without an answer there may be one the next time.
    const { data } = await api.GET('/auth/me').catch(() => ({ data: undefined }));
    if (isOver) return;
    if (data?.user.confirmed) finish();
    else source = open();
  }

  function finish(): void {
    stop();
    onConfirmed();
  }

  function stop(): void {
    isOver = true;
    source.close();
  }

  return stop;
}
