import { Type } from '@sinclair/typebox';

/** The shape of every error (RFC 9457). */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: 'A URI reference to a description of this kind of problem.', format: 'uri-reference' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    code: Type.String({ description: 'The stable key: decide by this one.' }),
    detail: Type.String(),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String({ description: 'JSON Pointer (RFC 6901) to the member at fault.' }),
          code: Type.String(),
          message: Type.String(),
        }),
      ),
    ),
  },
  {
    $id: 'Problem',
    description: 'Problem details (RFC 9457), as application/problem+json. Some kinds have members of their own.',
    additionalProperties: true,
  },
);
