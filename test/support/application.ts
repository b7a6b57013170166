import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

/** What an application behind a proxy was sent. */
export interface PassedRequest {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  /** Names and values as they came, repeated ones apart. */
  readonly rawHeaders: readonly string[];
}

/** An application that has no login of its own: it believes what its proxy says, and answers with what it was sent. */
export async function startApplication(t: Test): Promise<{ base: string; passed: readonly PassedRequest[] }> {
  const passed: PassedRequest[] = [];
  const server = createServer(({ url = '', headers, rawHeaders }, response) => {
    passed.push({ url, headers, rawHeaders });
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ url, headers }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, passed };
}
