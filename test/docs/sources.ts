import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** The checkout, seen from where this is compiled to. */
export const root = fileURLToPath(new URL('../../../', import.meta.url));

export const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** What is in the repository, or would be by the next `git add`. */
export const files: readonly string[] = execFileSync(
  'git',
  ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
  { cwd: root, encoding: 'utf8' },
)
  .split('\0')
  .filter((file) => file !== '' && existsSync(join(root, file)));

/** Files that hold what is public, by the name under which they are imported. */
const ENTRIES = { 'braid-mpi': 'src/index.ts', 'braid-mpi/mpi': 'src/comm/mpi.ts' } as const;

/** A public class's method, getter, or field. */
export interface Member {
  readonly owner: string;
  readonly name: string;
  readonly isMethod: boolean;
  readonly documented: boolean;
  /** File and line. */
  readonly place: string;
}

export interface PublicName {
  readonly module: string;
  readonly name: string;
  /** Of a class, or of an object like `MPI`; not of an interface. */
  readonly members: readonly Member[];
}

let names: PublicName[] | undefined;
let options: string[] | undefined;

/** Everything that the package exports, read from its sources by the compiler. */
export function publicNames(): readonly PublicName[] {
  if (!names) inspect();
  return names!;
}

/** The options of `BraidDB.open`. */
export function openOptions(): readonly string[] {
  if (!options) inspect();
  return options!;
}

function inspect(): void {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.base.json'), (path) => ts.sys.readFile(path)) as {
    config: { compilerOptions: Record<string, unknown> };
  };
  const parsed = ts.convertCompilerOptionsFromJson({ ...config.compilerOptions, noEmit: true }, root).options;
  const program = ts.createProgram(
    Object.values(ENTRIES).map((entry) => join(root, entry)),
    parsed,
  );
  const checker = program.getTypeChecker();
  names = [];
  for (const [module, entry] of Object.entries(ENTRIES)) {
    const source = program.getSourceFile(join(root, entry))!;
    for (const exported of checker.getExportsOfModule(checker.getSymbolAtLocation(source)!)) {
      const symbol = (exported.flags & ts.SymbolFlags.Alias) === 0 ? exported : checker.getAliasedSymbol(exported);
      const members = (symbol.declarations ?? []).flatMap((each) => membersOf(checker, each, exported.name));
      names.push({ module, name: exported.name, members });
      if (exported.name === 'OpenOptions') {
        options = checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol)).map(({ name }) => name);
      }
    }
  }
}

function membersOf(checker: ts.TypeChecker, declaration: ts.Declaration, owner: string): Member[] {
  if (ts.isClassDeclaration(declaration)) {
    return declaration.members.filter(isPublic).map((member) => describe(checker, member, owner));
  }
  const initializer = ts.isVariableDeclaration(declaration) ? declaration.initializer : undefined;
  if (initializer && ts.isObjectLiteralExpression(initializer)) {
    return initializer.properties.map((member) => describe(checker, member, owner));
  }
  return [];
}

/** Whether users may call it: named, not `#private` or `private`, and not marked as ours. */
function isPublic(member: ts.ClassElement): boolean {
  if (!member.name || ts.isPrivateIdentifier(member.name) || ts.isComputedPropertyName(member.name)) return false;
  const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
  if ((ts.getCombinedModifierFlags(member) & hidden) !== 0) return false;
  return !ts.getJSDocTags(member).some(({ tagName }) => tagName.text === 'internal');
}

function describe(
  checker: ts.TypeChecker,
  member: ts.ClassElement | ts.ObjectLiteralElementLike,
  owner: string,
): Member {
  const source = member.getSourceFile();
  const { line } = source.getLineAndCharacterOfPosition(member.getStart());
  // As an editor shows it: with that of an interface which the class implements, and of another overload.
  const symbol = checker.getSymbolAtLocation(member.name!)!;
  return {
    owner,
    name: member.name!.getText(),
    isMethod: ts.isMethodDeclaration(member),
    documented: symbol.getDocumentationComment(checker).length > 0,
    place: `${source.fileName.slice(root.length)}:${line + 1}`,
  };
}
