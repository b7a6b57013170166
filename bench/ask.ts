// One HTTP request, and how long it took.
import { Agent, request } from 'node:http';
import { performance } from 'node:perf_hooks';

export interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
  readonly ms: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 600, maxFreeSockets: 600 });

export function ask(
  url: string,
  { method = 'GET', body, token }: { method?: string; body?: object; token?: string } = {},
): Promise<Answer> {
  const start = performance.now();
  const headers = {
    ...(body && { 'content-type': 'application/json' }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent }, async (answer) => {
      let text = '';
      for await (const chunk of answer) text += chunk;
      resolve({ status: answer.statusCode ?? 0, retryAfter: answer.headers['retry-after'], text, ms: performance.now() - start });
    });
    sent.on('error', reject);
    sent.end(body && JSON.stringify(body));
  });
}

/** Lets the process end. */
export function hangUp(): void {
  agent.destroy();
}
