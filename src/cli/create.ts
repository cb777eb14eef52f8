import type { Command } from 'commander';
import { writeJson, writeLines } from './output.js';
import { jsonOption } from './usage.js';

export function addCreate(program: Command): void {
  program
    .command('create')
    .summary('make an empty database')
    .description(
      'Makes an empty database. A job makes one by itself: this is for scripts that want to know that it is new.',
    )
    .argument('<db>', 'file to make; an existing one is an error')
    .option('-B, --backup', 'move an existing file to DB.001.bak (or .002, …) first')
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ braid create -B run.db\n')
    .action(async (path: string, { backup, json }: { backup?: boolean; json?: boolean }) => {
      const { create } = await import('../create.js');
      const report = await create(path, { backup });
      if (json) return writeJson(report);
      const lines = [`made ${report.path}`];
      if (report.backup) lines.push(`the file that was there is now ${report.backup}`);
      return writeLines(lines);
    });
}
