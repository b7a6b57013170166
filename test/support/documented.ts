import { readFileSync } from 'node:fs';
import type { Answer } from './client.ts';
import { readContract } from './openapi.ts';

const contract = readContract(JSON.parse(readFileSync(new URL('../../openapi/openapi.json', import.meta.url), 'utf8')));

/**
 * Holds an answer against the committed OpenAPI document, if it describes the operation: every test that asks a
 * service for something tests the document, too.
 *
 * @throws Error when the document does not describe the answer
 */
export function assertDocumented(method: string, url: string, answer: Answer): void {
  const { pathname } = new URL(url.startsWith('/') ? `http://localhost${url}` : url);
  const operation = contract.find(pathname)?.get(method);
  if (operation === undefined) return;
  const faults = contract.faultsOf(operation, answer);
  if (faults.length > 0) throw new Error(`${faults.join('; ')}: ${answer.text.slice(0, 500)}`);
}
