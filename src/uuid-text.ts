/** A UUID of 32 hex digits, as databases have it, in the form with dashes that others read. */
export function dashed(hex: string): string {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
