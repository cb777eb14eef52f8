/** JSON of what may hold integers that a double can't: those become decimal strings. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each), indent);
}
