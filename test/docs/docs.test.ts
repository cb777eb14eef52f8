import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import process from 'node:process';
import { BraidReader } from 'braid-mpi';
import { runAlone, vendors } from '../support/mpiexec.js';
import { files, openOptions, publicNames, read, root } from './sources.js';

const markdown = files.filter((file) => file.endsWith('.md'));
/** What tells users and developers how to use the package; not a history or an explanation of one folder. */
const guides = markdown.filter((file) => /^(README|ARCHITECTURE)\.md$|^docs\//.test(file));
const code = files.filter((file) => /^src\/.*\.ts$|^native\/.*\.(cc|h)$/.test(file));

/** Whether a text names something as a word of code: in backticks, or in a block. */
const mentions = (text: string, name: string): boolean =>
  new RegExp(`(?<![\\w$.-])${name.replace(/[$.*+?()[\]{}|\\]/g, '\\$&')}(?![\\w$])`).test(codeOf(text));

const codeCache = new Map<string, string>();
function codeOf(text: string): string {
  let found = codeCache.get(text);
  if (found === undefined) {
    found = [...text.matchAll(/```[^\n]*\n[^]*?\n```|`[^`\n]+`/g)].map(([part]) => part).join('\n');
    // `BraidDB.open(…)` names `open`, too; `--depth` does not name `depth`.
    found = found.replace(/(?<=\w)[.](?=\w)/g, ' ');
    codeCache.set(text, found);
  }
  return found;
}

const block = (text: string, language: string): string => {
  const found = new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, 'm').exec(text);
  assert.ok(found, `there is no block of ${language}`);
  return found[1];
};

/** Fails with every item that is wrong, and not only with the first. */
const none = (wrong: readonly string[], what: string): void => assert.deepEqual(wrong, [], what);

describe('the documents', function () {
  this.timeout(60_000);
  const guideText = guides.map(read).join('\n');
  const api = read('docs/api.md');
  const readme = read('README.md');

  it('name everything that the package exports', () => {
    const missing = publicNames().filter(({ name }) => !mentions(guideText, name));
    none(
      missing.map(({ module, name }) => `${name} of ${module}`),
      'exported, and in none of README.md, ARCHITECTURE.md, docs/',
    );
  });

  it('name every method and property of the exported classes', () => {
    const missing = publicNames().flatMap(({ members }) => members.filter(({ name }) => !mentions(api, name)));
    // An error's or an operation's own fields are in its comment.
    const listed = missing.filter(({ owner }) => owner !== 'Op');
    none(
      listed.map(({ owner, name }) => `${owner}.${name}`),
      'public, and not in docs/api.md',
    );
  });

  it('name every option of open in the README', () => {
    none(
      openOptions().filter((option) => !readme.includes(`| \`${option}\` |`)),
      'options without a row',
    );
  });

  it('list every error code that can be thrown, and no other', () => {
    const literal = /['"`](ERR_BRAID(?:_[A-Z]+)+)['"`]/g;
    const thrown = new Set(code.flatMap((file) => [...read(file).matchAll(literal)].map(([, found]) => found)));
    const listed = [...read('docs/errors.md').matchAll(/^\| `(ERR_BRAID(?:_[A-Z]+)+)` \|/gm)].map(([, found]) => found);
    assert.deepEqual(listed.toSorted(), [...thrown].toSorted(), 'docs/errors.md against the sources');
  });

  it('list error codes in alphabetical order within each group', () => {
    for (const group of read('docs/errors.md').split(/^## /m)) {
      const listed = [...group.matchAll(/^\| `(ERR_BRAID_\w+)` \|/gm)].map(([, found]) => found);
      assert.deepEqual(listed, listed.toSorted(), group.split('\n', 1)[0]);
    }
  });

  it('speak of no error code that there is not', () => {
    const listed = new Set(
      read('docs/errors.md')
        .match(/^\| `ERR_BRAID_\w+` \|/gm)!
        .map((row) => row.slice(3, -3)),
    );
    const unknown = [...code, ...markdown].flatMap((file) =>
      // A family of codes is written as ERR_BRAID_DB_…
      [...read(file).matchAll(/\bERR_BRAID(?:_[A-Z]+)+\b(?!_)/g)]
        .filter(([found]) => !listed.has(found) && found !== 'ERR_BRAID_AREA_WHAT')
        .map(([found]) => `${found} in ${file}`),
    );
    none(unknown, 'codes that docs/errors.md does not list');
  });

  it('name every environment variable that is read', () => {
    const readers = files.filter((file) => /^src\/.*\.ts$|^scripts\/|^binding\.gyp$|^test\/support\//.test(file));
    const named = /(?:env\.|['"`]|\$\{?|^)(BRAID(?:_[A-Z]+)*)\b(?![_…])/gm;
    const variables = new Set(readers.flatMap((file) => [...read(file).matchAll(named)].map(([, found]) => found)));
    assert.ok(variables.has('BRAID_SPOOL_DIR') && variables.has('BRAID_MPI_MPICC'), 'the pattern finds variables');
    const text = `${guideText}\n${read('CONTRIBUTING.md')}`;
    none(
      [...variables].filter((name) => !mentions(text, name)),
      'variables that no document names',
    );
  });

  it('speak of no environment variable that is not read', () => {
    const sources = files
      .filter((file) => /^(src|scripts|test\/support)\//.test(file))
      .map(read)
      .join('\n');
    const unknown = markdown.flatMap((file) =>
      [...read(file).matchAll(/(?<![A-Z_])BRAID_[A-Z]+(?:_[A-Z]+)*\b(?![_…])/g)]
        .filter(([found]) => !new RegExp(`(?<![A-Z_])${found}\\b`).test(sources))
        .map(([found]) => `${found} in ${file}`),
    );
    none(unknown, 'variables that nobody reads');
  });

  it('name tests that there are, by their titles', () => {
    const named = [...read('docs/guarantees.md').matchAll(/`(\w[\w-]*\/[\w-]+\.test\.ts)`(?:: ([^;|`)]+))?/g)];
    assert.ok(named.length > 50, 'the pattern finds tests');
    const unknown = named.flatMap(([, file, title = '']) => {
      const text = existsSync(join(root, 'test', file)) ? read(`test/${file}`) : '';
      // What a title has in several forms is a template in the source.
      const pieces = title
        .replace(/\s+/g, ' ')
        .split('…')
        .map((piece) => piece.trim().replace(/^,|[,.]$/g, ''));
      return text !== '' && pieces.every((piece) => text.includes(piece)) ? [] : [`${file}: ${title}`];
    });
    none(unknown, 'tests that docs/guarantees.md names, and that there are not');
  });

  it('point to files and headings that are there', () => {
    const broken: string[] = [];
    for (const file of markdown) {
      const text = read(file).replace(/```[^]*?\n```/g, '');
      for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const [path, anchor] = target.split('#', 2);
        const place = path === '' ? file : normalize(join(dirname(file), path));
        if (!existsSync(join(root, place))) broken.push(`${target} in ${file}`);
        else if (anchor && !headings(read(place)).includes(anchor))
          broken.push(`${target} in ${file}: no such heading`);
      }
    }
    none(broken, 'links that lead nowhere');
  });

  it('have a licence that package.json names', () => {
    const { license } = JSON.parse(read('package.json')) as { license: string };
    assert.equal(license, 'Apache-2.0');
    assert.match(read('LICENSE'), /Apache License\s+Version 2\.0[^]*END OF TERMS AND CONDITIONS/);
  });
});

/** The anchors that a page's headings make. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-'),
  );
}

describe('the command line', function () {
  this.timeout(60_000);
  const readme = read('README.md');
  const help = (...args: string[]): string =>
    execFileSync(process.execPath, [join(root, 'dist/cli/braid.js'), ...args, '--help'], { encoding: 'utf8' });
  const commands = [...help().matchAll(/^ {2}([a-z-]+) \[options\]/gm)].map(([, command]) => command);

  it('has commands', () => assert.ok(commands.length >= 7, commands.join()));

  for (const command of commands) {
    it(`has ${command} and its options in the README`, () => {
      const row = new RegExp(`^\\| \`braid ${command}\\b.*$`, 'm').exec(readme)?.[0];
      assert.ok(row, `no row for braid ${command}`);
      const options = [...help(command).matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option]) => option);
      none(
        options.filter((option) => !['--help', '--json'].includes(option) && !row.includes(`\`${option}\``)),
        'options that the row lacks',
      );
    });
  }

  it('has every command that the documents show', () => {
    const shown = markdown.flatMap((file) =>
      [...read(file).matchAll(/(?:npx |`|braid\.js )(?:braid )?([a-z]+) (?:DB|[\w/-]+\.db)\b|npx braid ([a-z]+)/g)]
        .map(([, first, second]) => first ?? second)
        .filter((command) => !commands.includes(command))
        .map((command) => `${command} in ${file}`),
    );
    none(shown, 'commands that are not there');
  });
});

describe('the sources', function () {
  this.timeout(60_000);

  it('have a comment on every public method of an exported class', () => {
    const bare = publicNames().flatMap(({ members }) =>
      members.filter(({ isMethod, documented }) => isMethod && !documented),
    );
    none(
      bare.map(({ owner, name, place }) => `${owner}.${name} (${place})`),
      'methods without TSDoc',
    );
  });

  it('go with packages of licences that allow it only', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { dev?: true; license: string }>;
    };
    const allowed = /\b(Apache-2\.0|MIT|ISC|BSD-[23]-Clause|BlueOak-1\.0\.0)\b/;
    const installed = Object.entries(packages).filter(([name, { dev }]) => name !== '' && !dev);
    assert.ok(installed.length > 20);
    assert.deepEqual(installed.filter(([, { license }]) => !allowed.test(license)), []); // prettier-ignore
  });

  it('hold no path of a machine and no host of a registry', () => {
    const wrong = [
      // Not of a URI: https://host/home/…
      new RegExp(`(?<![\\w.:/-])/(${['work', 'root', 'home'].join('|')})/`),
      /https?:\/\/[^\s"'/]*(registry|mirror|proxy|artifactory|nexus)/i,
    ];
    const held = files
      .filter((file) =>
        /\.(ts|mjs|js|json|md|cc|h|gyp|gypi|txt|bash|yml|yaml)$|^scripts\/|^\.ci\/|^LICENSE$/.test(file),
      )
      .filter((file) => file !== 'test/docs/docs.test.ts')
      .flatMap((file) =>
        read(file)
          .split('\n')
          .flatMap((line, i) => (wrong.some((each) => each.test(line)) ? [`${file}:${i + 1}: ${line.trim()}`] : [])),
      );
    none(held, 'lines that are of one machine');
  });
});

describe('the programs of the README', function () {
  this.timeout(60_000);
  const readme = read('README.md');
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'braid-docs-'));
    mkdirSync(join(directory, 'node_modules'));
    symlinkSync(root, join(directory, 'node_modules', 'braid-mpi'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('record what they say, in one process', () => {
    writeFileSync(join(directory, 'job.mjs'), block(readme, 'ts'));
    const env = { ...process.env, BRAID: undefined, BRAID_MPI: 'off' };
    const stdout = execFileSync(process.execPath, ['job.mjs'], {
      cwd: directory,
      env,
      encoding: 'utf8',
      timeout: 30_000,
    });
    assert.equal(stdout, '');
    const reader = BraidReader.open(join(directory, 'run.db'));
    try {
      const records = [...reader.records()];
      assert.deepEqual(
        records.map(({ kind, name }) => `${kind} ${name}`),
        ['fact beamline', 'model braggnn', 'data scan-0', 'data peaks-0'],
      );
      const [cfg, model, scan, peaks] = records;
      assert.deepEqual(cfg.tags, { energy_kev: 12.4 });
      assert.deepEqual(scan.uris, ['file:///data/scan-0.h5']);
      assert.deepEqual(
        [...reader.versions(model.id)].map(({ step, tags }) => ({ step, tags })),
        [{ step: 12, tags: { loss: 0.031 } }],
      );
      assert.deepEqual(
        new Set([...reader.ancestors(peaks.id)].map(({ name }) => name)),
        new Set(['beamline', 'braggnn', 'scan-0']),
      );
      assert.deepEqual(
        reader.runs().map(({ status }) => status),
        ['COMPLETED'],
      );
    } finally {
      reader.close();
    }
  });

  it(`talk by MPI${vendors.length > 0 ? '' : ', skipped: none is built here'}`, async function () {
    if (vendors.length === 0) this.skip();
    const program = join(directory, 'talk.mjs');
    writeFileSync(program, block(readme.slice(readme.indexOf("from 'braid-mpi/mpi'") - 60), 'js'));
    const { code, stdout, stderr } = await runAlone(program, { env: { BRAID_MPI: vendors[0].name } });
    assert.equal(code, 0, stderr);
    assert.equal(stdout, `1 ranks of ${vendors[0].name}: 1\n`);
  });
});
