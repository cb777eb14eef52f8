import type { CommandWords, OptionWords } from './completion.js';

/** By shell: the script that completes these commands, of which the first is the program itself. */
export const SCRIPTS = { bash, zsh, fish } as const;

/** A text as one word of a shell, whatever is in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function bash(commands: readonly CommandWords[]): string {
  const [program, ...others] = commands;
  const values = commands.flatMap(({ name, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map(({ flags, values = [] }) => {
        const patterns = flags.map((flag) => quoted(`${name} ${flag}`)).join(' | ');
        return `    ${patterns}) COMPREPLY=($(compgen -W ${quoted(values.join(' '))} -- "$word")); return ;;`;
      }),
  );
  const words = commands.map(({ name, options, argument = [] }) => {
    const flags = options.flatMap(({ flags }) => flags).join(' ');
    return `    ${name}) options=${quoted(flags)} arguments=${quoted(argument.join(' '))} ;;`;
  });
  // Where nothing is offered, -o default completes files.
  return `# bash completion of braid
_braid() {
  local word=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command=${program.name} i
  local options= arguments=
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      ${others.map(({ name }) => name).join(' | ')}) command=\${COMP_WORDS[i]}; break ;;
    esac
  done
  # Bash takes the = of --option=value for a word.
  [[ $word == = ]] && word=
  [[ $previous == = ]] && previous=\${COMP_WORDS[COMP_CWORD - 2]}
  case "$command $previous" in
${values.join('\n')}
  esac
  case $command in
${words.join('\n')}
  esac
  if [[ $word == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$word"))
  elif [[ $previous == "$command" || $command == ${program.name} ]]; then
    COMPREPLY=($(compgen -W "$arguments" -- "$word"))
  else COMPREPLY=()
  fi
}
complete -o default -F _braid braid
`;
}

function zsh(commands: readonly CommandWords[]): string {
  const [program, ...others] = commands;
  // In a specification a colon ends the name, and brackets the description.
  const described = (text: string) => text.replace(/[\\:[\]]/g, '\\$&');
  const option = ({ flags, description, takesValue, values }: OptionWords) => {
    const action = !takesValue ? '' : values ? `:value:(${values.join(' ')})` : ':value:_files';
    return flags.map((flag) => quoted(`*${flag}[${described(description)}]${action}`)).join(' ');
  };
  const cases = others.map(({ name, options, argument }) => {
    const first = argument ? `:argument:(${argument.join(' ')})` : ':file:_files';
    return `    ${name}) _arguments ${[...options.map(option), quoted(`1${first}`), quoted('*:file:_files')].join(' ')} ;;`;
  });
  return `#compdef braid
# zsh completion of braid
_braid() {
  local -a commands
  commands=(${others.map(({ name, summary }) => quoted(`${name}:${described(summary)}`)).join(' ')})
  if ((CURRENT == 2)); then
    if [[ $words[2] == -* ]]; then _arguments ${program.options.map(option).join(' ')}
    else _describe command commands
    fi
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${cases.join('\n')}
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _braid "$@"
else compdef _braid braid
fi
`;
}

function fish(commands: readonly CommandWords[]): string {
  const [program, ...others] = commands;
  const names = others.map(({ name }) => name).join(' ');
  const none = quoted(`not __fish_seen_subcommand_from ${names}`);
  const option = (condition: string, { flags, description, takesValue, values }: OptionWords) => {
    const named = flags
      .map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`))
      .join(' ');
    const value = !takesValue ? '' : values ? ` -x -a ${quoted(values.join(' '))}` : ' -r';
    return `complete -c braid -n ${condition} ${named} -d ${quoted(description)}${value}`;
  };
  const lines = others.flatMap(({ name, summary, options, argument }) => {
    const seen = quoted(`__fish_seen_subcommand_from ${name}`);
    return [
      `complete -c braid -n ${none} -f -a ${name} -d ${quoted(summary)}`,
      ...options.map((each) => option(seen, each)),
      ...(argument ? [`complete -c braid -n ${seen} -f -a ${quoted(argument.join(' '))}`] : []),
    ];
  });
  return ['# fish completion of braid', ...program.options.map((each) => option(none, each)), ...lines, ''].join('\n');
}
