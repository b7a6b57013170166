import { Ajv2020, type AnySchema } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { Answer } from './client.ts';

/** The parts of a JSON Schema that requests are made from. */
export interface Schema {
  readonly type?: string;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly pattern?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
}

interface Response {
  readonly description: string;
  readonly content?: Readonly<Record<string, unknown>>;
}

/** A method of a path, as the OpenAPI document describes it. */
export interface Operation {
  /** Such as `GET /auth/me`. */
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly required: boolean; readonly schema: Schema }[];
  readonly body: Schema | undefined;
  readonly responses: Readonly<Record<string, Response>>;
}

/** What an OpenAPI document says, to be held against what the service does. */
export interface Contract {
  readonly operations: readonly Operation[];
  /** The operations of the path that a path of a request stands for, by method; undefined for one that stands for none. */
  find(pathname: string): ReadonlyMap<string, Operation> | undefined;
  /** What is wrong with an answer to a GET, POST, … by the document alone: its status, type, body and problem code. */
  faultsOf(operation: Operation, answer: Pick<Answer, 'status' | 'headers' | 'text'>): string[];
}

type Document = { readonly paths: Record<string, Record<string, RawOperation>> };
type RawOperation = Omit<Operation, 'name' | 'method' | 'path' | 'body'> & {
  readonly requestBody?: { readonly content: Record<string, { schema: Schema }> };
};

export function readContract(swagger: unknown): Contract {
  const document = swagger as Document;
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([verb, raw]) => readOperation(verb.toUpperCase(), path, raw)),
  );
  const paths = [...new Set(operations.map(({ path }) => path))].map((path) => ({
    pattern: new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{\w+\}/g, '([^/]*)')}$`, 's'),
    isExact: !path.includes('{'),
    methods: new Map(operations.filter((each) => each.path === path).map((each) => [each.method, each])),
  }));
  const validate = createValidator(document);

  return {
    operations,
    find(pathname) {
      const decoded = decodeSegments(pathname);
      if (decoded === undefined) return undefined;
      const found = paths.filter(({ pattern }) => pattern.test(decoded));
      return (found.find(({ isExact }) => isExact) ?? found[0])?.methods;
    },
    faultsOf(operation, { status, headers, text }) {
      const response = operation.responses[status];
      if (response === undefined) return [`${operation.name} does not document ${status}`];
      const types = Object.keys(response.content ?? {});
      const type = headers['content-type']?.split(';')[0];
      if (types.length === 0) return text === '' ? [] : [`${status} has a body`];
      if (type === undefined || !types.includes(type)) return [`${status} comes as ${type}, not as ${types}`];
      if (!type.endsWith('json')) return [];
      const value = JSON.parse(text);
      return [...validate(operation, status, type, value), ...(type === problemType ? codeFaults(operation, response, value) : [])];
    },
  };
}

const problemType = 'application/problem+json';

function codeFaults({ name }: Operation, { description }: Response, { code }: { code: string }): string[] {
  return description.includes(`\`${code}\``) ? [] : [`${name} does not document ${code}`];
}

function readOperation(method: string, path: string, { parameters = [], responses, requestBody }: RawOperation): Operation {
  return { name: `${method} ${path}`, method, path, parameters, responses, body: requestBody?.content['application/json']?.schema };
}

/** A slash that is encoded parts nothing: it becomes what no pattern takes for one. */
function decodeSegments(pathname: string): string | undefined {
  try {
    return pathname
      .split('/')
      .map((segment) => decodeURIComponent(segment).replaceAll('/', '\0'))
      .join('/');
  } catch {
    return undefined;
  }
}

function createValidator(document: Document) {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  formats.default(ajv);
  ajv.addSchema(document as AnySchema, 'document', undefined, false);
  const pointerPart = (text: string) => encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'));
  const compiled = new Map<string, ReturnType<typeof ajv.compile>>();

  return ({ path, method }: Operation, status: number, type: string, value: unknown): string[] => {
    const parts = ['paths', path, method.toLowerCase(), 'responses', String(status), 'content', type, 'schema'];
    const pointer = parts.map((part) => `/${pointerPart(part)}`).join('');
    const validate = compiled.get(pointer) ?? ajv.compile({ $ref: `document#${pointer}` });
    compiled.set(pointer, validate);
    if (validate(value)) return [];
    return (validate.errors ?? []).map(({ instancePath, message }) => `${status}: ${instancePath} ${message}`);
  };
}
