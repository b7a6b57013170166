import { parseArgs } from 'node:util';
import type { Config } from '../config.ts';

/** Where a command writes: what was asked for, and what went wrong. */
export interface Console {
  say(line: string): void;
  complain(line: string): void;
}

/** One command of `latchkey`. */
export interface Command {
  /** Its words and options, as the help shows them. */
  readonly usage: string;
  readonly purpose: string;
  run(args: readonly string[], config: Config, console: Console): Promise<void> | void;
}

/** One that takes the environment as it is, whether that makes a configuration or not. */
export interface EnvironmentCommand extends Omit<Command, 'run'> {
  /** @returns the exit status */
  examine(args: readonly string[], env: Environment, console: Console): Promise<number>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Thrown for words that a command does not understand. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

type Options = Readonly<Record<string, { readonly type: 'boolean' | 'string' }>>;

interface Parsed {
  readonly words: readonly string[];
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
}

/** @throws UsageError when there are other options, or not that many words */
export function parse(args: readonly string[], options: Options, wordCount: number): Parsed {
  let parsed: { values: object; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (parsed.positionals.length !== wordCount) throw new UsageError(`expected ${wordCount} words, got ${parsed.positionals.length}`);
  return { words: parsed.positionals, values: parsed.values as Parsed['values'] };
}
