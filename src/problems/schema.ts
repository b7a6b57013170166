import { Type } from '@sinclair/typebox';
import { maxBodyBytes, text } from '../schemas.ts';
import { catalogue } from './catalogue.ts';
import { Problem } from './problem.ts';

/** A stable key of a problem, or of the rule that a member breaks. */
export const codeText = text(50);
export const wordsText = text(500);
export const statusNumber = Type.Integer({ format: 'int32', minimum: 400, maximum: 599 });

/** The shape of every error (RFC 9457). */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({
      format: 'uri-reference',
      maxLength: 100,
      description: 'A URI reference to a description of this kind of problem.',
    }),
    title: wordsText,
    status: statusNumber,
    code: Type.String({
      enum: Object.keys(catalogue),
      maxLength: 50,
      description: 'The stable key: decide by this one. A later version may know more of them.',
    }),
    detail: wordsText,
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: text(500, 'JSON Pointer (RFC 6901) to the member at fault.'),
          code: codeText,
          message: wordsText,
        }),
        // One for each member that a body can have.
        { maxItems: maxBodyBytes },
      ),
    ),
    resend: Type.Optional(
      Type.Object(
        { method: Type.Literal('POST'), href: text(100) },
        { description: 'Of `unconfirmed`: the request that asks for another mail.' },
      ),
    ),
  },
  {
    $id: 'Problem',
    description: 'Problem details (RFC 9457), as application/problem+json. Some kinds have members of their own.',
    additionalProperties: true,
    examples: [new Problem('unconfirmed').toJSON()],
  },
);
