import type { TextExporter } from '../exporter.js';
import { documentOf } from './document.js';
import { NAMESPACES, STATEMENTS, type Statement, type Value } from './terms.js';

/** PROV-JSON (W3C member submission of 2013): an object of sections, one for each kind of statement; and so in each bundle. */
export const provJson: TextExporter = {
  *text(source, selection) {
    const { base, parts } = documentOf(source, selection);
    yield `{\n"prefix": ${JSON.stringify({ ...NAMESPACES, db: base })}`;
    const relations = { count: 0 };
    let bundles = 0;
    for (const { bundle, statements } of parts) {
      if (bundle === undefined) {
        yield* sections(statements, relations, true);
        continue;
      }
      yield bundles++ === 0 ? ',\n"bundle": {\n' : ',\n';
      yield `${JSON.stringify(bundle)}: {`;
      yield* sections(statements, relations, false);
      yield '}';
    }
    yield bundles > 0 ? '}\n}\n' : '\n}\n';
  },
};

/** @param relations how many there are in the whole document: each has a name of its own. */
function* sections(statements: Iterable<Statement>, relations: { count: number }, follows: boolean): Iterable<string> {
  let section: string | undefined;
  for (const statement of statements) {
    const { kind, id = `_:r${++relations.count}` } = statement;
    if (kind === section) {
      yield ',\n';
    } else {
      if (section !== undefined) yield '}';
      yield `${section !== undefined || follows ? ',' : ''}\n"${kind}": {\n`;
      section = kind;
    }
    yield `${JSON.stringify(id)}: ${JSON.stringify(bodyOf(statement))}`;
  }
  if (section !== undefined) yield '}';
}

function bodyOf({ kind, args, attributes }: Statement): object {
  const body: Record<string, unknown> = {};
  STATEMENTS[kind].forEach((argument, i) => {
    if (args[i] !== undefined) body[`prov:${argument}`] = args[i];
  });
  for (const [name, value] of attributes) {
    const json = toJson(value);
    const before = body[name];
    if (before === undefined) body[name] = json;
    else if (Array.isArray(before)) before.push(json);
    else body[name] = [before, json];
  }
  return body;
}

function toJson(value: Value): unknown {
  if (typeof value === 'string') return value;
  if ('name' in value) return { $: value.name, type: 'prov:QUALIFIED_NAME' };
  return { $: value.text, type: value.type };
}
