/**
 * Makes what is run of `src`. The library becomes one file, `dist/library.js`: a hundred of them would take most of the
 * time in which a rank starts. Each module has a file that hands on what it exports from there, so that there is one
 * instance of it, whoever imports it. The thread that writes the database has a file of its own, and that is CommonJS, in
 * which Node starts sooner (docs/decisions/0019). Declarations are made by `tsc`.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { build } from 'rolldown';

const modules = readdirSync('src', { recursive: true })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length));
const isLibrary = (name) => !name.startsWith('cli/') && name !== 'store/worker';

const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const common = { platform: 'node', external: Object.keys(dependencies), tsconfig: 'src/tsconfig.json' };

// It is in the library, as far as it is used: all of it would be the largest file that a rank reads.
const licenceOfValibot = `/*! Contains parts of valibot.\n\n${readFileSync('node_modules/valibot/LICENSE.md', 'utf8')}*/`;

await Promise.all([
  build({
    ...common,
    input: Object.fromEntries([...modules.filter(isLibrary), 'cli/braid'].map((name) => [name, `src/${name}.ts`])),
    output: {
      dir: 'dist',
      chunkFileNames: '[name].js',
      sourcemap: true,
      footer: ({ name }) => (name === 'library' ? licenceOfValibot : ''),
      codeSplitting: {
        groups: [{ name: 'library', test: (id) => isLibrary(id.replace(/^.*\/src\/(.*)\.ts$/, '$1')) }],
      },
    },
  }),
  build({
    ...common,
    input: 'src/store/worker.ts',
    output: { file: 'dist/worker.cjs', format: 'cjs', sourcemap: true },
  }),
]);
