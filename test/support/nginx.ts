import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { eventually } from './eventually.ts';
import { freePort } from './process.ts';

const executable = '/usr/sbin/nginx';

/** Why a test that needs nginx is left out; false when it is not. In CI there always is one. */
export const noNginx = existsSync(executable) || process.env['CI'] !== undefined ? false : `there is no nginx at ${executable}`;

/** What a configuration has to keep to, so that nginx writes nowhere but into its own directory. */
interface Place {
  readonly directory: string;
  /** A free port of loopback, to listen on. */
  readonly port: number;
  /** Belongs into the `http` block. */
  readonly writes: string;
}

/**
 * Starts a real nginx on a free port of loopback, for as long as the test runs. All that it writes is in a directory of its own.
 *
 * @param locations what stands in its `server` block
 * @returns its address
 */
export function startNginx(t: Test, locations: string): Promise<string> {
  return runNginx(t, (place) => configuration(place, locations));
}

/** {@link startNginx} with a whole configuration, but for what says where the process runs and writes. */
export async function runNginx(t: Test, configure: (place: Place) => string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-nginx-'));
  const port = await freePort();
  const file = join(directory, 'nginx.conf');
  await writeFile(file, configure({ directory, port, writes: writesTo(directory) }));
  const process = `daemon off; master_process off; pid ${directory}/nginx.pid; error_log stderr error;`;
  const child = spawn(executable, ['-p', directory, '-c', file, '-e', 'stderr', '-g', process], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const end = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGTERM');
    await end;
    await rm(directory, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}`;
  await eventually('nginx answers', async () => {
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}: ${said}`);
    return fetch(`${url}/nginx-is-there`).then(
      () => true,
      () => false,
    );
  });
  return url;
}

function writesTo(directory: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path ${directory}/${kind};`);
  return `  access_log off;\n${temporary.join('\n')}`;
}

function configuration({ directory, port, writes }: Place, locations: string): string {
  return `events { worker_connections 256; }
http {
${writes}
  proxy_cache_path ${directory}/cache keys_zone=answers:1m;
  server {
    listen 127.0.0.1:${port};
    location = /nginx-is-there { return 204; }
${locations}
  }
}
`;
}

/** Passes a request on to a service, saying whose it is and where it came from, as a proxy must. */
export function passTo(base: string): string {
  return `
      proxy_pass ${base};
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`;
}

/**
 * Locations that guard an application by asking the service about each request (`auth_request`), and tell the
 * application who it is in headers that no client can set.
 *
 * @param asking more about how the service is asked
 */
export function guardedLocations(service: string, application: string, asking = ''): string {
  const identity = ['User-Id', 'Username', 'Email', 'Role'].map((name) => {
    const variable = `$auth_${name.toLowerCase().replace('-', '_')}`;
    return `
      auth_request_set ${variable} $upstream_http_x_auth_${name.toLowerCase().replace('-', '_')};
      proxy_set_header X-Auth-${name} ${variable};`;
  });
  return `
    location = /verify {
      internal;${passTo(`${service}/auth/verify`)}
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      ${asking}
    }
    location /auth/ {${passTo(service)}
    }
    location / {
      auth_request /verify;${identity.join('')}${passTo(application)}
    }`;
}
