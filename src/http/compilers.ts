import { AjvCompiler } from '@fastify/ajv-compiler';
import { SerializerSelector } from '@fastify/fast-json-stringify-compiler';
import type { FastifySchemaCompiler, FastifySerializerCompiler, FastifyServerOptions } from 'fastify';

type ValidatorCompiler = FastifySchemaCompiler<unknown>;
type SerializerCompiler = FastifySerializerCompiler<unknown>;
type CompilersFactory = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>;

/**
 * Fastify's own compilers, which make a function of each schema, but only when it is first called: to make all of them takes up to a
 * sixth of the start. A schema that cannot be compiled is the fault of a request then, and does not stop the start.
 */
export function deferredCompilers(): CompilersFactory {
  const buildValidators = AjvCompiler();
  const buildSerializers = SerializerSelector();

  function buildValidator(...options: Parameters<typeof buildValidators>): ValidatorCompiler {
    const compiler = once(() => buildValidators(...options) as ValidatorCompiler);
    return (route) => {
      const compiled = once(() => compiler()(route));
      const validate: ReturnType<ValidatorCompiler> = (data: unknown) => {
        const result = compiled()(data);
        validate.errors = compiled().errors ?? null;
        return result;
      };
      return validate;
    };
  }

  function buildSerializer(...options: Parameters<typeof buildSerializers>): SerializerCompiler {
    const compiler = buildSerializers(...options) as SerializerCompiler;
    return (route) => {
      const compiled = once(() => compiler(route));
      return (data) => compiled()(data);
    };
  }

  return { buildValidator, buildSerializer } as CompilersFactory;
}

function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
