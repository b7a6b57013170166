import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const executable = '/usr/bin/docker-compose';

/** Why a test that needs Compose is left out; false when it is not. In CI there always is one. */
export const noCompose = existsSync(executable) || process.env['CI'] !== undefined ? false : `there is no Compose at ${executable}`;

/**
 * What Compose has against a file; nothing when it takes it. It is given without the project's name, which Debian's
 * version does not know yet.
 */
export function refusalOfCompose(text: string, env: Readonly<Record<string, string>>): string {
  const input = text.replace(/^name:.*\n/m, '');
  const options = { input, env: { PATH: process.env['PATH'], ...env }, encoding: 'utf8', timeout: 60_000 } as const;
  const { status, stderr } = spawnSync(executable, ['--file', '-', 'config', '--quiet'], options);
  return status === 0 ? '' : `${status}: ${stderr}`;
}

interface KubernetesDocument {
  readonly apiVersion: string;
  readonly kind: string;
}

type Model = new (document: KubernetesDocument) => { validate(): void };

/** What a schema of Kubernetes' has against an object; nothing when it fits. */
export async function refusalOfKubernetes(document: KubernetesDocument): Promise<string> {
  const models: Record<string, Model> = await import(`kubernetes-models/${document.apiVersion}/${document.kind}`);
  const Model = models[document.kind] as Model;
  try {
    new Model(document).validate();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}
