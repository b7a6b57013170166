import { unconfirmed } from '../guard/plugin.ts';
import { catalogue, type ProblemCode } from '../problems/catalogue.ts';
import { type MemberFault, Problem, type ProblemDocument } from '../problems/problem.ts';

const exampleFaults: Partial<Record<ProblemCode, MemberFault>> = {
  validation_failed: { pointer: '/username', code: 'pattern', message: 'must match pattern "^[A-Za-z][A-Za-z0-9_.]*$"' },
  email_taken: { pointer: '/email', code: 'email_taken', message: 'is taken' },
  username_taken: { pointer: '/username', code: 'username_taken', message: 'is taken' },
};

function example(code: ProblemCode): ProblemDocument {
  if (code === 'unconfirmed') return unconfirmed().toJSON();
  const fault = exampleFaults[code];
  return new Problem(code, fault && { errors: [fault] }).toJSON();
}

/** What no operation answers: such a request is not one of any, but of a path or of an application behind the service. */
const ofNoOperation: ReadonlySet<ProblemCode> = new Set(['method_not_allowed', 'headers_too_large', 'bad_gateway', 'gateway_timeout']);

/** Each problem of an operation once, as a client gets it: for the `components` of the OpenAPI document. */
export const problemExamples = Object.fromEntries(
  (Object.keys(catalogue) as ProblemCode[])
    .filter((code) => !ofNoOperation.has(code))
    .map((code) => [code, { summary: catalogue[code].title, value: example(code) }]),
);

/** The examples of an answer that carries one of these codes. */
export function exampleReferences(codes: readonly ProblemCode[]): Record<string, { $ref: string }> {
  return Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }]));
}
