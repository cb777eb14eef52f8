/** Just enough of PROV-N to compare what two programs write of one document. */

/** Text in quotes, of three or one; a name in quotes; a word; punctuation. */
const TOKEN =
  /"""(?<long>(?:\\"|[^"])*)"""|"(?<text>(?:\\[^]|[^"\\])*)"|'(?<name>[^']*)'|<[^>]*>|%%|[^\s,()[\]=;"'<]+|[,()[\]=;]/g;

const ESCAPED: Record<string, string> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };

/**
 * Its statements, each as one text: with attributes in order, values without the names of numeric types, and times without
 * zeros at their end, about which programs differ. Each has the bundle that it is in before it.
 */
export function statementsOf(provn: string): string[] {
  const statements: string[] = [];
  let bundle = '';
  let kind = '';
  let parts: string[][] = [];
  let attributes: string[][] = [];
  let inAttributes = false;
  let before = '';
  let awaitsBundle = false;
  for (const { 0: token, groups } of provn.matchAll(TOKEN)) {
    const { long, text, name } = groups!;
    const value = long ?? text;
    const target = inAttributes ? attributes : parts;
    if (awaitsBundle) {
      bundle = token;
      awaitsBundle = false;
    } else if (kind === '') {
      if (token === '(') [kind, parts, attributes] = [before, [[]], []];
      else if (token === 'bundle') awaitsBundle = true;
      else if (token === 'endBundle') bundle = '';
    } else if (value !== undefined) {
      target.at(-1)!.push(JSON.stringify(value.replace(/\\([^])/g, (_, c: string) => ESCAPED[c] ?? c)));
    } else if (name !== undefined) {
      target.at(-1)!.push(`'${name}'`);
    } else if (token === '[') {
      [inAttributes, attributes] = [true, [[]]];
    } else if (token === ']') {
      inAttributes = false;
    } else if (token === ',') {
      target.push([]);
    } else if (token === ')') {
      // A name after which nothing comes, and the place of attributes.
      const args = parts.filter((part) => part.length > 0).map((part) => timeText(part.join('')));
      statements.push([bundle, kind, ...args, ...attributes.map(valueText).sort()].join(' '));
      kind = '';
    } else {
      target.at(-1)!.push(token);
    }
    before = token;
  }
  return statements.sort();
}

function valueText([name, , value, , type]: string[]): string {
  const text = value.startsWith('"') ? (JSON.parse(value) as string) : value;
  if (type === 'xsd:boolean') return `${name}=${text === '1' || text === 'true'}`;
  if (type === undefined && value.startsWith('"')) return `${name}=${value}`;
  if (type === 'xsd:anyURI' || value.startsWith("'")) return `${name}=${value}`;
  return `${name}=${Number.isNaN(Number(text)) ? timeText(text) : Number(text)}`;
}

function timeText(text: string): string {
  return /^\d{4}-\d\d-\d\dT/.test(text)
    ? text
        .replace(/\+00:00$/, 'Z')
        .replace(/(\.\d*?)0*Z$/, '$1Z')
        .replace('.Z', 'Z')
    : text;
}
