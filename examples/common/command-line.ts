import { parseArgs } from 'node:util';

/** An option that is a number: what it is by default, and how it is read. */
export interface NumberOption {
  readonly default: number;
  readonly read: (text: string, flag: string) => number;
}

/** Options by their names: a switch or a text by its default, or a number. */
export type Declarations = Record<string, boolean | string | NumberOption>;

/** What options come to. */
export type ValuesOf<Declared extends Declarations> = {
  -readonly [Name in keyof Declared]: Declared[Name] extends boolean
    ? boolean
    : Declared[Name] extends string
      ? string
      : number;
};

/**
 * The options of the command line: `checkpointEvery` is `--checkpoint-every`, and `--no-record` turns off `record`. Ends
 * the process, before MPI is up, for --help (0) and, saying so, for what can't be understood (2). `check` throws where
 * options don't go together.
 */
export function readCommandLine<const Declared extends Declarations>(
  help: string,
  declared: Declared,
  check: (values: ValuesOf<Declared>) => void = () => {},
): ValuesOf<Declared> {
  const options = Object.entries(declared).map(([name, option]) => ({ name, flag: flagOf(name), option }));
  const flags: Record<string, { type: 'boolean' | 'string' }> = { help: { type: 'boolean' } };
  for (const { flag, option } of options) flags[flag] = { type: typeof option === 'boolean' ? 'boolean' : 'string' };
  try {
    const { values: given } = parseArgs({ allowNegative: true, options: flags });
    if (given.help) {
      process.stdout.write(help);
      process.exit(0);
    }
    const values = Object.fromEntries(
      options.map(({ name, flag, option }) => {
        const value = given[flag];
        if (typeof option !== 'object') return [name, value ?? option];
        return [name, typeof value === 'string' ? option.read(value, flag) : option.default];
      }),
    ) as ValuesOf<Declared>;
    check(values);
    return values;
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${help}`);
    process.exit(2);
  }
}

/** A whole number, written in digits. */
export function whole(byDefault: number, least: number, most: number): NumberOption {
  return { default: byDefault, read: (text, flag) => wholeNumber(flag, text, least, most) };
}

/** The same of a text: for `check`, where bounds depend on other options. */
export function wholeNumber(flag: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new Error(`--${flag} must be a whole number from ${least} to ${most}, not '${text}'`);
}

/** Any number above `bound`. */
export function numberAbove(byDefault: number, bound: number): NumberOption {
  return {
    default: byDefault,
    read(text, flag) {
      const value = Number(text);
      if (value > bound && value < Infinity) return value;
      throw new Error(`--${flag} must be a number above ${bound}, not '${text}'`);
    },
  };
}

function flagOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
