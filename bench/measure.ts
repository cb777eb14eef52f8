/** One trial, repeat by repeat. */
import type { TestVendor } from '../test/support/mpiexec.js';
import { availableParallelism } from 'node:os';
import { launch, Interrupted } from './launch.js';
import type { Options } from './options.js';
import type { Programs } from './programs.js';
import type { ComparisonResult, Figures, TrialResult } from './results.js';
import type { Comparison, Derived, Length, Side, Trial } from './trial.js';

/** Of what a side may take: many times what was expected of it, since others may use the machine. */
const LEAST_LIMIT_MS = 300_000;

export interface Setting {
  readonly options: Options;
  readonly vendor: TestVendor | undefined;
  readonly programs: Programs;
  /** Told of what is left out of a trial. */
  readonly leaveOut: (name: string, because: string) => void;
}

/** Why something of that length isn't run, if it isn't. */
export function tooLong(length: Length | undefined, { quick, long }: Options): string | undefined {
  if (length === 'long' && !long) return 'it takes very long: --long';
  if (length === 'full' && quick) return 'it takes too long for --quick';
  return undefined;
}

export class Measurement {
  readonly trial: Trial;
  /** Those that can be run here, and their arguments. */
  readonly #sides: readonly { side: Side; command: readonly string[]; records: number; runs: Figures[] }[];
  readonly #setting: Setting;
  #size: number | undefined;
  /** Of all repeats made. */
  #seconds = 0;
  repeats = 0;
  failed: string | undefined;

  /** @throws Error where a program can't be compiled */
  constructor(trial: Trial, setting: Setting) {
    this.trial = trial;
    this.#setting = setting;
    const { options, programs, leaveOut } = setting;
    this.#sides = trial.sides.flatMap((side) => {
      const start = programs.start(side.program);
      const why =
        tooLong(side.length, options) ?? ('missing' in start ? start.missing : undefined) ?? this.#noMpi(side);
      if (why !== undefined || 'missing' in start) {
        leaveOut(`${trial.name}: ${side.name}`, why ?? '');
        return [];
      }
      const records = side.records ?? Math.max(1, Math.round(options.records * (side.share ?? 1)));
      return [{ side, command: [...start, ...side.args], records, runs: [] as Figures[] }];
    });
  }

  #noMpi({ ranks }: Side): string | undefined {
    if (!ranks) return undefined;
    const { vendor } = this.#setting;
    if (!vendor) return 'there is no MPI to run it with';
    if (vendor.name === 'mpich' && ranks > availableParallelism()) return 'ranks of MPICH spin, and need a core each';
    return undefined;
  }

  /** How many repeats are made of it where so many are asked for. */
  repeatsOf(asked: number): number {
    return asked * (this.trial.times ?? 1);
  }

  /** What one more repeat takes, as far as that is known. */
  get expectedSeconds(): number {
    if (this.repeats > 0) return this.#seconds / this.repeats;
    const { calibrate, sides, seconds } = this.trial;
    return calibrate ? sides.length * this.#setting.options.seconds * 1.1 : seconds;
  }

  /** Whether anything of it can be run. */
  get possible(): boolean {
    return this.#sides.length > 0 && this.#comparisons().length > 0;
  }

  /** Runs each side once. Where one fails the repeat counts for nothing, and there are no more: resolves with why. */
  async repeat(say: (side: string) => void): Promise<string | undefined> {
    const started = performance.now();
    try {
      if (this.trial.calibrate && this.#size === undefined) await this.#calibrate(say);
      // The other way round every other time: who comes second finds the machine as the first has left it.
      const order = this.repeats % 2 === 0 ? this.#sides : this.#sides.toReversed();
      const runs = new Map<Side, Figures>();
      for (const each of order) {
        say(each.side.name);
        const figures = await this.#run(each);
        const missing = this.#figuresOf(each.side).find((name) => !(figures[name] >= 0));
        if (missing !== undefined) throw new Error(`${each.side.name} did not tell ${missing}`);
        runs.set(each.side, figures);
      }
      // Together: figures of one repeat belong together.
      for (const { side, runs: all } of this.#sides) all.push(runs.get(side)!);
      this.repeats++;
    } catch (error) {
      if (error instanceof Interrupted) throw error;
      this.failed = (error as Error).message;
    } finally {
      this.#seconds += (performance.now() - started) / 1000;
    }
    return this.failed;
  }

  #run({ side, command, records }: { side: Side; command: readonly string[]; records: number }): Promise<Figures> {
    const { vendor, options } = this.#setting;
    const values = command.map((each) =>
      each.replace('{records}', String(records)).replace('{size}', String(this.#size)),
    );
    const expected = this.trial.calibrate ? options.seconds : this.trial.seconds;
    const limitMs = Math.max(LEAST_LIMIT_MS, expected * 10_000 * Math.max(1, options.records / 100_000));
    return launch({ command: values, ranks: side.ranks, env: side.env, vendor, limitMs });
  }

  /** Doubles the size until what it takes can be told from how a job starts, and goes on in proportion. */
  async #calibrate(say: (side: string) => void): Promise<void> {
    const { side: name, from } = this.trial.calibrate!;
    const side = this.#sides.find(({ side }) => side.name === name)!;
    const wanted = this.#setting.options.seconds;
    for (this.#size = from; ; this.#size *= 2) {
      say(`finding its size: ${this.#size}`);
      const { wallMs } = await this.#run(side);
      const seconds = wallMs / 1000;
      if (seconds < wanted / 6) continue;
      this.#size = Math.ceil((this.#size * wanted * 1.1) / seconds);
      return;
    }
  }

  /** The figures that comparisons have of a side. */
  #figuresOf(side: Side): string[] {
    return this.#comparisons()
      .flatMap(({ of, to }) => [of, ...referencesOf(to)])
      .map((reference) => this.#find(reference)!)
      .filter((found) => found.side === side)
      .map(({ figure }) => figure);
  }

  /** Those of which all sides are run. */
  #comparisons(): readonly Comparison[] {
    return this.trial.comparisons.filter(({ of, to }) => [of, ...referencesOf(to)].every((each) => this.#find(each)));
  }

  #find(reference: string) {
    const [name, figure] = this.#sides.some(({ side }) => side.name === reference)
      ? [reference, 'value']
      : [reference.slice(0, reference.lastIndexOf('.')), reference.slice(reference.lastIndexOf('.') + 1)];
    const found = this.#sides.find(({ side }) => side.name === name);
    return found && { ...found, figure };
  }

  #values(reference: string): { title: string; figures: number[] } {
    const { side, runs, figure } = this.#find(reference)!;
    return { title: side.name, figures: runs.map((figures) => figures[figure]) };
  }

  #against(to: string | Derived): { title: string; figures: number[] } {
    if (typeof to === 'string') return this.#values(to);
    const inputs = to.inputs.map((input) => this.#values(input).figures);
    return { title: to.title, figures: inputs[0].map((_, i) => to.from(...inputs.map((figures) => figures[i]))) };
  }

  result(): TrialResult {
    const { name, phase } = this.trial;
    const { records } = this.#setting.options;
    return {
      name,
      phase,
      repeats: this.repeats,
      sides: this.#sides.map(({ side, command, records, runs }) => ({
        name: side.name,
        command: command.slice(command.findIndex((each) => /\/(dist-dev|bench)\//.test(each))).map(nameOfProgram),
        ranks: side.ranks,
        env: side.env,
        records,
        runs,
      })),
      comparisons: this.#comparisons().map(({ of, to, title, unit, target, at }): ComparisonResult => {
        const first = this.#values(of);
        const second = to === undefined ? undefined : this.#against(to);
        const { share, ...place } = at ?? {};
        return {
          title: title ?? (second ? `${first.title} against ${second.title}` : first.title),
          unit,
          of: first,
          to: second,
          target,
          at: at && { ...place, records: share === undefined ? undefined : Math.round(share * records) },
        };
      }),
      failed: this.failed,
    };
  }
}

function referencesOf(to: string | Derived | undefined): readonly string[] {
  if (to === undefined) return [];
  return typeof to === 'string' ? [to] : to.inputs;
}

/** Where it lies is this machine's business. */
function nameOfProgram(argument: string): string {
  return argument.replace(/^.*\/(dist-dev|bench)\//, '');
}
