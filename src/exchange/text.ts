import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** How much text is handed on at once. */
const PIECE_CHARS = 2 ** 16;

/** Writes a new file as fast as the disk takes it. */
export async function writeText(file: string, text: Iterable<string>, signal?: AbortSignal): Promise<void> {
  await pipeline(pieces(text), createWriteStream(file, { flags: 'wx' }), { signal });
}

/** Text in pieces that are worth handing on. */
export function pieces(text: Iterable<string>): Readable {
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
