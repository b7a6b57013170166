import { type TObject, type TProperties, Type } from '@sinclair/typebox';

/** An object that is taken literally: members that it does not name are refused. */
export function strictObject<Members extends TProperties>(members: Members, options: object = {}): TObject<Members> {
  return Type.Object(members, { ...options, additionalProperties: false });
}

/** The body of a request that needs none: nothing, or an object without members. */
export const NoBody = Type.Union([Type.Null(), strictObject({})], { description: 'Nothing, or an empty object.' });

/** An answer without a body. */
export const NoContent = (description: string) => Type.Null({ description });

/** Where a mailed link ends, if there is an application: see `APP_URL`. */
export const SentOn = Type.Null({ description: 'A browser is sent on to `APP_URL`, if there is one.' });
