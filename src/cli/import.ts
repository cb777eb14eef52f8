import type { Command } from 'commander';
import { countText, plural, writeJson, writeLines } from './output.js';
import { ProgressLine } from './progress.js';
import { jsonOption } from './usage.js';

export function addImport(program: Command): void {
  program
    .command('import')
    .summary('record a PROV-JSON document of another tool')
    .description(
      'Records a PROV-JSON document as a run of its own, all of it or nothing. Entities, activities and agents become records, ' +
        'what one comes from its dependencies, and the rest tags. The same document again changes nothing.',
    )
    .argument('<db>', 'database; made if there is none')
    .argument('<file>', 'document; - for standard input')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ braid import run.db workflow.json
  $ braid export other.db --format prov-json | braid import run.db -
`,
    )
    .action(imported);
}

async function imported(path: string, file: string, { json }: { json?: boolean }): Promise<void> {
  const { importDocument } = await import('../import.js');
  const line = new ProgressLine();
  const input = file === '-' ? process.stdin : file;
  const report = await importDocument(path, input, {
    ...(file === '-' ? { name: 'standard input' } : {}),
    onProgress: ({ done, total }) => line.show(() => `${countText(done)} of ${countText(total)} records`),
  }).finally(() => line.clear());
  if (json) return writeJson(report);
  const { run, records, versions, derivations, invalidations } = report;
  await writeLines([
    report.imported
      ? `imported ${plural(records, 'record')}, ${plural(versions, 'version')}, ${plural(derivations, 'dependency', 'dependencies')}, ` +
        `${plural(invalidations, 'invalidation')} as run ${run}`
      : `${file} was imported before, by run ${run}: nothing to do`,
  ]);
}
