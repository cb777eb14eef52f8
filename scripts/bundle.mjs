/**
 * Makes what is run of `src`. The library becomes one file, `dist/library.js`: a hundred of them would take most of the
 * time in which a rank starts. Each module has a file that hands on what it exports from there, so that there is one
 * instance of it, whoever imports it. The thread that writes the database has a file of its own, and that is CommonJS, in
 * which Node starts sooner (docs/decisions/0019). Declarations are made by `tsc`.
 */
import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from 'rolldown';

const modules = readdirSync('src', { recursive: true })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length));
const isOfLibrary = (path) => {
  const [, module] = /^src\/(.*)\.ts$/.exec(path) ?? [];
  return module === undefined ? path.startsWith('node_modules/valibot/') : isLibrary(module);
};
const isLibrary = (name) => !/^(cli|drawing|exchange|functions)\//.test(name) && name !== 'store/worker';

const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const common = {
  platform: 'node',
  external: Object.keys(dependencies),
  write: false,
  tsconfig: 'src/tsconfig.json',
  // Of a package that has both, what can be taken in parts.
  resolve: { mainFields: ['module', 'main'] },
};

// These are in it as far as they are used: all of valibot would be the largest file that a rank reads, all of ECharts the
// largest part of an installation. What draws is loaded when something is drawn, what serves
// when something is served.
const licences = {
  library: ['valibot/LICENSE.md'],
  server: ['hono/LICENSE', '@hono/node-server/LICENSE', '@valibot/to-json-schema/LICENSE.md'],
  renderings: ['@dagrejs/dagre/LICENSE', '@dagrejs/graphlib/LICENSE'],
  parquet: ['hyparquet-writer/LICENSE', 'hyparquet/LICENSE'],
  turtle: ['n3/LICENSE.md'],
  'parse-json': ['lossless-json/LICENSE.md'],
  yazl: ['yazl/LICENSE', 'buffer-crc32/LICENSE'],
  plot: ['echarts/LICENSE', 'echarts/NOTICE', 'zrender/LICENSE', 'tslib/LICENSE.txt'],
};
const footer = ({ name }) =>
  (licences[name] ?? [])
    .map(
      (file) =>
        `/*! Contains parts of ${dirname(file)}.\n\n${readFileSync(`node_modules/${file}`, 'utf8').replaceAll('*/', '* /')}*/`,
    )
    .join('\n');

const built = await Promise.all([
  build({
    ...common,
    input: Object.fromEntries([...modules.filter(isLibrary), 'cli/braid'].map((name) => [name, `src/${name}.ts`])),
    output: {
      dir: 'dist',
      chunkFileNames: '[name].js',
      sourcemap: true,
      footer,
      codeSplitting: {
        groups: [{ name: 'library', test: (id) => isOfLibrary(relative('.', id)) }],
      },
    },
  }),
  build({
    ...common,
    input: 'src/store/worker.ts',
    output: { file: 'dist/worker.cjs', format: 'cjs', sourcemap: true },
  }),
]);

// A program that runs meanwhile finds every file as it was or as it is now; and what is the same stays as old as it is.
for (const { fileName, code, source = code } of built.flatMap(({ output }) => output)) {
  const path = join('dist', fileName);
  if (isAsItWas(path, source)) continue;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, source);
  renameSync(`${path}.new`, path);
}

function isAsItWas(path, content) {
  try {
    return readFileSync(path, 'utf8') === content;
  } catch {
    return false;
  }
}
