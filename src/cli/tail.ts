import { constants } from 'node:os';
import { InvalidArgumentError, type Command } from 'commander';
import type { FollowEvent, FollowedRun } from '../follow.js';
import { dateText, plural, printable, styled, toJson, writeLines, type Style } from './output.js';
import { recordLine, tagTexts } from './record-text.js';
import { jsonOption } from './usage.js';

interface Options {
  all?: boolean;
  interval: number;
  untilIdle?: number;
  untilEnd?: boolean;
  json?: boolean;
}

const STATUS_STYLES: Partial<Record<FollowedRun['status'], Style>> = {
  COMPLETED: 'good',
  FAILED: 'bad',
  KILLED: 'bad',
  INCOMPLETE: 'note',
};

/** As setTimeout takes them. */
const MAX_SECONDS = 2 ** 31 / 1000 - 1;

export function addTail(program: Command): void {
  program
    .command('tail')
    .summary('follow what is committed: records, versions, runs')
    .description(
      'Prints a line for each record, each version of a model and each change of a run, as they are committed. What a ' +
        'rank has recorded and not yet flushed is not there yet. Ends by Ctrl-C, or as the options say. Exit code 1: with ' +
        '--until-end, a run did not end as COMPLETED.',
    )
    .argument('<db>', 'database; it must exist')
    .option('--all', 'begin with all that is there already')
    .option('--interval <seconds>', 'how often to look', seconds, 0.5)
    .option('--until-idle <seconds>', 'end when nothing has been committed for so long', seconds)
    .option(
      '--until-end',
      'end when the runs that it shows have ended, or died on this host; if none is RUNNING, wait for the first',
    )
    .addOption(jsonOption('print one JSON object a line, with its type: record, version or run'))
    .addHelpText(
      'after',
      '\nExamples:\n  $ braid tail run.db\n  $ braid tail run.db --all --until-end --json | jq .record.name\n',
    )
    .action(async (path: string, { all, interval, untilIdle, untilEnd, json }: Options) => {
      const { follow } = await import('../follow.js');
      const interruption = new AbortController();
      // The second one ends the process at once: somebody may not read what is being written.
      const interrupted = () => {
        process.exitCode = 128 + constants.signals.SIGINT;
        interruption.abort();
      };
      process.once('SIGINT', interrupted);
      try {
        const batches = follow(path, {
          all,
          untilEnd,
          intervalMs: interval * 1000,
          untilIdleMs: untilIdle === undefined ? undefined : untilIdle * 1000,
          signal: interruption.signal,
        });
        const statuses = new Map<string, string>();
        for await (const events of batches) {
          await writeLines(lines(events, statuses, json ? toJson : eventLine));
        }
        const endedBadly = [...statuses.values()].some((status) => status !== 'COMPLETED');
        if (untilEnd && endedBadly && !interruption.signal.aborted) process.exitCode = 1;
      } finally {
        process.off('SIGINT', interrupted);
      }
    });
}

function* lines(
  events: Iterable<FollowEvent>,
  statuses: Map<string, string>,
  text: (event: FollowEvent) => string,
): Iterable<string> {
  for (const event of events) {
    if (event.type === 'run') statuses.set(event.run.id, event.run.status);
    yield text(event);
  }
}

function eventLine(event: FollowEvent): string {
  switch (event.type) {
    case 'record':
      return recordLine(event.record);
    case 'version': {
      const { model, name, number, step, time, valid } = event.version;
      const parts = [`[${model}] ${printable(name ?? '')}@${number}${step === undefined ? '' : ` step ${step}`}`];
      if (time) parts.push(styled('faint', dateText(time)));
      if (!valid) parts.push(styled('bad', 'INVALID'));
      return [...parts, ...tagTexts(event.version)].join('  ');
    }
    case 'run': {
      const { id, name, status, size, attempts, started, ended, liveness } = event.run;
      const style = liveness === 'dead' ? 'bad' : STATUS_STYLES[status];
      const attempt = attempts > 1 ? ` (attempt ${attempts})` : '';
      return [
        `run ${id.slice(0, 8)}${name === undefined ? '' : ` ${printable(name)}`}`,
        styled('faint', dateText(ended ?? started)),
        `${style ? styled(style, status) : status}${attempt}`,
        plural(size, 'rank'),
        ...(liveness === 'dead' ? ['no rank of it is alive: braid recover'] : []),
      ].join('  ');
    }
  }
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value <= MAX_SECONDS) return value;
  throw new InvalidArgumentError('It must be a number of seconds, more than 0.');
}
