import { Argument, type Command } from 'commander';
import { writeJson } from './output.js';
import { jsonOption } from './usage.js';

/** More in one call is a mistake: records come in several. */
const MAX_INPUT_BYTES = 64 * 2 ** 20;

/** Listed here, so that help loads nothing; a test compares them. */
export const FUNCTION_NAMES = [
  'add_records',
  'add_record_for_action_step',
  'add_transfer_request',
  'create_invalidation_action',
  'add_invalidation_action_to_record',
];

export function addCall(program: Command): void {
  program
    .command('call')
    .summary("call one of Braid-DB's functions: JSON in, JSON out")
    .description(
      "Calls one of Braid-DB's remote functions, as a Globus Flow or Compute function does. Takes its arguments as JSON on " +
        'standard input, and prints what it gives as JSON when that is committed. Errors are JSON on stderr: {"error":{"code":…,"message":…}}.',
    )
    .addArgument(new Argument('<name>', 'of the function').choices(FUNCTION_NAMES))
    .option('--db <db>', 'database, made if need be (else BRAID_DB_FILE)')
    .addOption(jsonOption('as without it'))
    .addHelpText(
      'after',
      `
Examples:
  $ echo '{"name": "scan-17", "uris": ["file:///data/scan-17.h5"]}' | braid call add_records --db run.db
  $ braid call add_record_for_action_step --db run.db < step.json
`,
    )
    .action(async (name: string, { db }: { db?: string }) => {
      const [{ callFunction, databaseOfCalls }, { parseJson, readBytes }] = await Promise.all([
        import('../functions.js'),
        import('../functions/input.js'),
      ]);
      const path = db ?? databaseOfCalls();
      if (process.stdin.isTTY) process.stderr.write('braid: type JSON, and end it with Ctrl-D\n');
      const input = parseJson(await readBytes(process.stdin, MAX_INPUT_BYTES));
      const onWarning = (text: string) => process.stderr.write(`${JSON.stringify({ warning: text })}\n`);
      await writeJson(await callFunction(name, input, { db: path, onWarning }));
    });
}
