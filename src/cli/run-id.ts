/**
 * The id of the run of a database that is meant: in full, or the beginning of it.
 *
 * @throws BraidError as `findRun`
 */
export async function fullRunId(path: string, text: string): Promise<string> {
  const [{ BraidReader }, { findRun }] = await Promise.all([import('../query/reader.js'), import('../query/find.js')]);
  const reader = BraidReader.open(path);
  try {
    return findRun(reader, text);
  } finally {
    reader.close();
  }
}
