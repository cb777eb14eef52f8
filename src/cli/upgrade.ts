import type { Command } from 'commander';
import type { UpgradeReport } from '../upgrade.js';
import { stopOnSignal } from './interrupt.js';
import { countText, plural, writeJson, writeLines } from './output.js';
import { jsonOption } from './usage.js';

export function addUpgrade(program: Command): void {
  program
    .command('upgrade')
    .summary('make a database of ours of one that Braid-DB has made')
    .description(
      'Makes a database of ours of one that Braid-DB has made: in place, in one transaction, after a copy was made as ' +
        'DB.001.bak (or .002, …). Jobs can then record into it, and Braid-DB goes on reading it and adding to it. Kinds of ' +
        'records are inferred, and shown with a question mark. One that is ours already stays as it is.',
    )
    .argument('<db>', 'database')
    .option('--dry-run', 'only say what would be made of it')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ braid upgrade braid-db.sqlite --dry-run\n')
    .action(async (path: string, { dryRun, json }: { dryRun?: boolean; json?: boolean }) => {
      const { upgrade } = await import('../upgrade.js');
      const report = await stopOnSignal((signal, line) =>
        upgrade(path, {
          dryRun,
          signal,
          onProgress: ({ phase, done, total }) =>
            line.show(() =>
              phase === 'backup'
                ? `copied ${countText(done)} of ${countText(total)} pages`
                : `${countText(done)} of ${countText(total)} rows`,
            ),
        }),
      );
      if (report) await (json ? writeJson(report) : writeLines(textLines(report)));
    });
}

function* textLines({ path, upgraded, dryRun, backup, records, kinds, requests, invalidated }: UpgradeReport) {
  if (!upgraded) {
    yield `${path} is a database of braid-mpi already`;
    return;
  }
  const { fact, data, model, record } = kinds;
  yield `${path} ${dryRun ? 'would be' : 'is'} upgraded: ${plural(records, 'record')}`;
  yield `kinds, inferred: ${plural(fact, 'fact')}, ${countText(data)} data, ${plural(model, 'model')}, ${countText(record)} not known`;
  if (requests > 0) yield `${plural(requests, 'invalidation')} taken over`;
  if (invalidated > 0)
    yield `${plural(invalidated, 'record')} that were valid derive from what is invalid, and are now invalid, too`;
  if (backup !== undefined) yield `as it was, it is ${backup}`;
}
