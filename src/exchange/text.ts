import { Readable } from 'node:stream';

/** How much text is handed on at once. */
const PIECE_CHARS = 2 ** 16;

/** Small pieces of text as a stream of larger ones. */
export function textStream(text: Iterable<string>): Readable {
  return Readable.from(joined(text), { objectMode: false });
}

function* joined(text: Iterable<string>): Iterable<Buffer> {
  let piece = '';
  for (const part of text) {
    piece += part;
    if (piece.length < PIECE_CHARS) continue;
    yield Buffer.from(piece);
    piece = '';
  }
  if (piece !== '') yield Buffer.from(piece);
}
