import { Argument, type Command } from 'commander';
import { SCRIPTS } from './completion-scripts.js';
import { writeJson, writeLines } from './output.js';
import { jsonOption } from './usage.js';

/** What can be typed after `braid`: read from what the commands themselves say, so that there is no second list to keep. */
export interface CommandWords {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly OptionWords[];
  /** What its first argument can be, where that is known; else a file. */
  readonly argument?: readonly string[];
}

export interface OptionWords {
  /** With their dashes. */
  readonly flags: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  /** What its value can be, where that is known; else a file. */
  readonly values?: readonly string[];
}

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .summary('print a script that completes commands and options in a shell')
    .description('Prints what makes a shell complete commands, options and their values.')
    .addArgument(new Argument('<shell>', 'whose script').choices(Object.keys(SCRIPTS)))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Examples:
  $ source <(braid completion bash)                                 # in ~/.bashrc
  $ braid completion zsh > "\${fpath[1]}/_braid"
  $ braid completion fish > ~/.config/fish/completions/braid.fish
`,
    )
    .action(async (shell: keyof typeof SCRIPTS, { json }: { json?: boolean }) => {
      const script = SCRIPTS[shell](wordsOf(program));
      await (json ? writeJson({ shell, script }) : writeLines(script.trimEnd().split('\n')));
    });
}

/** Of the program itself first. */
function wordsOf(program: Command): CommandWords[] {
  const help = program.createHelp();
  const commands = help.visibleCommands(program);
  const names = commands.map((command) => command.name());
  return [program, ...commands].map((command) => ({
    name: command.name(),
    summary: command.summary() || command.description(),
    options: help.visibleOptions(command).map(({ short, long, description, required, optional, argChoices }) => ({
      flags: [short, long].filter((flag) => flag !== undefined && flag !== null),
      description,
      takesValue: required || optional,
      values: argChoices,
    })),
    argument: command === program || command.name() === 'help' ? names : command.registeredArguments[0]?.argChoices,
  }));
}
