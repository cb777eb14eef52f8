/** npm run bench: runs the trials, or reports what was measured before. */
import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { table } from 'table';
import { vendors } from '../test/support/mpiexec.js';
import { interrupt, Interrupted } from './launch.js';
import { gitCommit, machine } from './machine.js';
import { Measurement, tooLong, type Setting } from './measure.js';
import { readOptions, selected, UsageError, type Options } from './options.js';
import { Programs } from './programs.js';
import { Progress } from './progress.js';
import { missed, rowsOf, TITLES, writeReport } from './report.js';
import { readResults, type Results } from './results.js';
import { TRIALS } from './trials.js';

/** What --quick may take; a little is for what comes before and after. */
const QUICK_SECONDS = 165;

process.exitCode = await main().catch((error: unknown) => {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n(--help prints how it is used)`);
  return 2;
});

async function main(): Promise<number> {
  const options = readOptions(
    process.argv.slice(2),
    vendors.map(({ name }) => name),
  );
  if (!options) return 0;
  const trials = selected(TRIALS, options.only);
  checkPlaces(options);
  if (options.list) {
    console.log(trials.map(({ name, length }) => name + (length === 'long' ? ' (--long)' : '')).join('\n'));
    return 0;
  }
  let results: Results;
  if (options.report !== undefined) {
    try {
      results = readResults(options.report);
    } catch (error) {
      throw new UsageError(`${options.report} is not a file of results: ${(error as Error).message}`);
    }
  } else {
    results = await measureAll(options, trials);
  }
  if (results.trials.length > 0) console.log(tableOf(results));
  // What was measured before stays, where this was interrupted too soon to take its place.
  if (options.json !== undefined && (results.trials.length > 0 || !results.interrupted)) {
    writeFileSync(options.json, `${JSON.stringify(results, undefined, 1)}\n`);
  }
  // A check says what there is to say.
  const out = options.out ?? (options.check ? undefined : options.report?.replace(/(\.json)?$/, '-report'));
  if (out !== undefined && results.trials.length > 0) {
    for (const file of await writeReport(results, out)) console.error(`wrote ${file}`);
  }
  return verdict(results, options);
}

/** What can't be written is better known before all is measured. */
function checkPlaces({ json, out, report, only }: Options): void {
  if (report !== undefined && only.length > 0)
    throw new UsageError('--report reports all that is in its file: --only goes with measuring');
  try {
    if (json !== undefined) {
      mkdirSync(dirname(json), { recursive: true });
      const there = existsSync(json);
      // For appending: what is there stays until there is something else.
      closeSync(openSync(json, 'a'));
      if (!there) rmSync(json);
    }
    if (out !== undefined) mkdirSync(out, { recursive: true });
    accessSync(tmpdir(), constants.W_OK);
  } catch (error) {
    throw new UsageError(`what is measured can't be written: ${(error as Error).message}`);
  }
}

/** As wide as most terminals can be made; what a row is against is in its title, or beside it in the report. */
function tableOf(results: Results): string {
  const rows = [TITLES, ...rowsOf(results)];
  const against = TITLES.indexOf('against');
  return table(
    rows.map((row) => row.toSpliced(against, 1)),
    {
      columns: [18, 30, 22, 22, 22, 14, 6].map((width) => ({ width, wrapWord: true })),
      // A line between trials, none within.
      drawHorizontalLine: (at, count) => at <= 1 || at === count || rows[at][0] !== rows[at - 1][0],
    },
  );
}

async function measureAll(options: Options, trials: typeof TRIALS): Promise<Results> {
  const started = new Date();
  const progress = new Progress();
  const vendor = options.mpi ? vendors.find(({ name }) => name === options.mpi) : vendors[0];
  let interrupted = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // A second one doesn't wait for what is being ended.
      if (interrupted) process.exit(130);
      interrupted = true;
      interrupt();
    });
  }

  const leftOut: Results['leftOut'] = [];
  const leaveOut = (name: string, because: string) => {
    leftOut.push({ name, because });
    progress.say(`left out ${name}: ${because}`);
  };
  const measurements = prepare(trials, { options, vendor, programs: new Programs(vendor), leaveOut });
  if (measurements.length === 0) throw new UsageError('nothing of that can be measured as asked for: see above');
  const on = await machine(vendor);
  // Of now: whoever works on meanwhile doesn't change what is measured.
  const commit = gitCommit();
  try {
    await repeatAll(measurements, options, progress);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
  }
  progress.clear();
  for (const { trial, repeats, failed } of measurements) {
    if (repeats === 0 && failed === undefined && !interrupted)
      leaveOut(trial.name, 'the 3 minutes of --quick are over');
  }
  return {
    format: 1,
    command: ['npm run bench --', ...process.argv.slice(2).map(quoted)].join(' '),
    commit,
    started: started.toISOString(),
    seconds: progress.elapsedSeconds,
    machine: on,
    records: options.records,
    trials: measurements.filter(({ repeats, failed }) => repeats > 0 || failed).map((each) => each.result()),
    leftOut,
    interrupted: interrupted || undefined,
  };
}

/** Those that can be run here, in the time that there is. */
function prepare(trials: typeof TRIALS, setting: Setting): Measurement[] {
  return trials.flatMap((trial) => {
    const why = tooLong(trial.length, setting.options);
    if (why !== undefined) {
      setting.leaveOut(trial.name, why);
      return [];
    }
    const measurement = new Measurement(trial, setting);
    if (measurement.possible) return [measurement];
    setting.leaveOut(trial.name, 'what it needs is not here');
    return [];
  });
}

/**
 * One repeat of all trials, then the next: what else the machine does at some time meets all of them, and whoever can't
 * wait for the end has something of each.
 */
async function repeatAll(measurements: readonly Measurement[], options: Options, progress: Progress): Promise<void> {
  const planned = (each: Measurement) => each.repeatsOf(options.repeat);
  const leftSeconds = () => {
    const running = measurements.filter(({ failed }) => failed === undefined);
    const left = running.reduce((sum, each) => sum + (planned(each) - each.repeats) * each.expectedSeconds, 0);
    return options.quick ? Math.min(left, QUICK_SECONDS - progress.elapsedSeconds) : left;
  };
  const fits = ({ expectedSeconds }: Measurement) =>
    !options.quick || progress.elapsedSeconds + expectedSeconds < QUICK_SECONDS;

  for (let pass = 1; pass <= options.repeat; pass++) {
    for (const each of measurements) {
      while (each.failed === undefined && each.repeats < each.repeatsOf(pass) && fits(each)) {
        const what = `${each.trial.name}, repeat ${each.repeats + 1} of ${planned(each)}`;
        const failure = await each.repeat((side) => progress.show(what, leftSeconds(), side));
        if (failure !== undefined) progress.say(`${each.trial.name} failed: ${failure}`);
      }
    }
  }
}

/** As a shell takes it. */
function quoted(argument: string): string {
  return /^[\w./:=-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}

/** The exit code; says what is not as it should be. */
function verdict(results: Results, { check }: Options): number {
  if (results.interrupted) {
    const what =
      results.trials.length > 0 ? 'what there is of results is partial' : 'nothing was measured, nor written';
    console.error(`interrupted: ${what}`);
    return 130;
  }
  const failed = results.trials.filter((trial) => trial.failed !== undefined);
  if (failed.length > 0) console.error(`the results are partial: ${failed.map(({ name }) => name).join('; ')} failed`);
  if (!check) return failed.length > 0 ? 1 : 0;
  const targets = results.trials.flatMap(({ comparisons }) => comparisons).filter(({ target }) => target);
  if (targets.length === 0) {
    console.error('there is nothing to check: none of what was measured has a target');
    return 1;
  }
  const below = missed(results);
  for (const line of below) console.error(`missed: ${line}`);
  return failed.length > 0 || below.length > 0 ? 1 : 0;
}
