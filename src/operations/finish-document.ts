import type { SwaggerTransformObject } from '@fastify/swagger';
import { introduction } from './introduction.ts';

interface Operation {
  readonly tags?: readonly string[];
  readonly requestBody?: { required?: boolean; readonly content: Readonly<Record<string, { readonly schema?: BodySchema }>> };
}

interface BodySchema {
  readonly anyOf?: readonly { readonly type?: string }[];
}

interface Document {
  readonly info: object;
  readonly paths: Readonly<Record<string, object>>;
  readonly tags: readonly { readonly name: string }[];
}

/**
 * Says what only the whole document can tell: whether there is a mailbox, or the sample, which tags are in use, and that a body which
 * may be null may be left out.
 */
export const finishDocument: SwaggerTransformObject = (made) => {
  const document = ('openapiObject' in made ? made.openapiObject : made.swaggerObject) as Document;
  const { info, paths, tags } = document;
  const operations = Object.values(paths).flatMap((item) => Object.values<Operation>({ ...item }));
  for (const { requestBody } of operations) if (requestBody && mayBeNothing(requestBody)) requestBody.required = false;
  const used = new Set(operations.flatMap((operation) => operation.tags ?? []));
  return {
    ...document,
    info: { ...info, description: introduction({ hasMailbox: '/dev/mail' in paths, hasSample: '/secret' in paths }) },
    tags: tags.filter(({ name }) => used.has(name)),
  } as ReturnType<SwaggerTransformObject>;
};

function mayBeNothing({ content }: NonNullable<Operation['requestBody']>): boolean {
  return Object.values(content).some(({ schema }) => schema?.anyOf?.some(({ type }) => type === 'null'));
}
