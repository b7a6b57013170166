import { type TObject, type TProperties, type TSchema, type TString, Type } from '@sinclair/typebox';

// Every shape has a bound, and every bound holds: whoever makes a client of the OpenAPI document may rely on it.

/** The longest body that is read, in bytes. */
export const maxBodyBytes = 16 * 1024;
/** The longest path with its query that is read, in characters; the longest of our own, a mailed link, has some 500. */
export const maxUrlLength = 4096;

/** No mailed link works longer, and nothing has to be waited for longer. */
const longestSeconds = 30 * 24 * 3600;

const described = (description: string | undefined) => (description === undefined ? {} : { description });

/** An object that is taken literally: members that it does not name are refused. */
export function strictObject<Members extends TProperties>(members: Members, options: object = {}): TObject<Members> {
  return Type.Object(members, { ...options, additionalProperties: false });
}

export function nullable<Schema extends TSchema>(schema: Schema, description?: string) {
  return Type.Union([schema, Type.Null()], described(description));
}

/** Text of any kind, with the most characters that it ever has. */
export function text(maxLength: number, description?: string): TString {
  return Type.String({ maxLength, ...described(description) });
}

/** A text that comes in a body, and is not too long as long as the body is not. */
export function anyText(description?: string): TString {
  return Type.String({ minLength: 1, maxLength: maxBodyBytes, ...described(description) });
}

export function uuid(description?: string): TString {
  return Type.String({ format: 'uuid', maxLength: 36, ...described(description) });
}

/** An instant, in UTC with milliseconds. */
export function time(description?: string): TString {
  return Type.String({ format: 'date-time', maxLength: 24, ...described(description) });
}

/** A duration. */
export function seconds(description: string, { minimum = 0, maximum = longestSeconds } = {}) {
  return Type.Integer({ format: 'int32', minimum, maximum, description });
}

/** The body of a request that needs none: nothing, or an object without members. */
export const NoBody = Type.Union([Type.Null(), strictObject({})], { description: 'Nothing, or an empty object.', examples: [{}] });

/** Examples that are told apart by a name, such as `bearer`, and a line about each. */
export function namedExamples(examples: Readonly<Record<string, { readonly summary: string; readonly value: unknown }>>) {
  return { 'x-examples': examples };
}

/** An answer without a body. */
export const NoContent = (description: string) => Type.Null({ description });

/** Where a mailed link ends, if there is an application: see `APP_URL`. */
export const SentOn = Type.Null({ description: 'A browser is sent on to `APP_URL`, if there is one.' });
