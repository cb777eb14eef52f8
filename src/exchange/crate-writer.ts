import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** What is known of a file that was written. */
export interface Written {
  readonly bytes: number;
  /** Hex digits. */
  readonly sha256: string;
}

/** Where the files of a crate go, one after the other. */
export interface CrateWriter {
  /** @param name its path in the crate, with slashes and nothing to get out of it. */
  put(name: string, content: Readable, modified?: Date): Promise<Written>;
  /** A file that is there no more when it returns. */
  move(name: string, path: string): Promise<Written>;
  end(): Promise<void>;
  /** Gives up. */
  abort(): Promise<void>;
}

export async function folderWriter(folder: string, signal?: AbortSignal): Promise<CrateWriter> {
  await mkdir(folder);
  const place = async (name: string) => {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    return path;
  };
  return {
    async put(name, content) {
      const { stream, written } = measured(content);
      await pipeline(stream, createWriteStream(await place(name), { flags: 'wx' }), { signal });
      return written();
    },
    async move(name, path) {
      const { stream, written } = measured(createReadStream(path));
      for await (const piece of stream) void piece;
      await rename(path, await place(name));
      return written();
    },
    async end() {},
    async abort() {},
  };
}

export async function zipWriter(file: string, signal?: AbortSignal): Promise<CrateWriter> {
  const { ZipFile } = (await import('yazl')).default;
  const zip = new ZipFile();
  const failed = new Promise<never>((_, reject) => zip.once('error', reject));
  const whole = pipeline(zip.outputStream, createWriteStream(file, { flags: 'wx' }), { signal });
  // Whoever waits for one of them is told; nobody may be waiting.
  for (const each of [failed, whole]) each.catch(() => {});
  const put = async (name: string, content: Readable, mtime?: Date): Promise<Written> => {
    const { stream, written } = measured(content);
    const taken = new Promise<void>((resolve, reject) => stream.once('end', resolve).once('error', reject));
    zip.addReadStreamLazy(name, { mode: 0o100644, ...(mtime ? { mtime } : {}) }, (give) => give(null, stream));
    await Promise.race([taken, failed, whole]);
    return written();
  };
  return {
    put,
    async move(name, path) {
      return put(name, createReadStream(path), (await stat(path)).mtime);
    },
    async end() {
      zip.end();
      await Promise.race([whole, failed]);
    },
    async abort() {
      (zip.outputStream as Readable).destroy();
      await whole.catch(() => {});
    },
  };
}

/** A stream as it is, of which size and checksum are known at its end. */
function measured(content: Readable): { stream: Readable; written: () => Written } {
  const hash = createHash('sha256');
  let bytes = 0;
  async function* pieces(): AsyncIterable<Buffer> {
    for await (const piece of content as AsyncIterable<Buffer>) {
      hash.update(piece);
      bytes += piece.length;
      yield piece;
    }
  }
  return {
    stream: Readable.from(pieces(), { objectMode: false }),
    written: () => ({ bytes, sha256: hash.digest('hex') }),
  };
}
