/**
 * A flush without the commit: gather-side.js BYTES:CALLS,… for so many bytes of each rank. It is what a flush of the
 * recorder is from header to verdict, by the recorder's own code, over frames of the sizes that a spool makes, except
 * that a round is as good as committed when it is there.
 *
 * Each call begins at a barrier and is timed on the root, as in gather.c.
 */
import { randomFillSync } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { MPI } from 'braid-mpi/mpi';
import { Request } from '#src/comm/request.js';
import { Channel, verdictText } from '#src/flush/channel.js';
import type { Steps } from '#src/flush/drive.js';
import { RoundMemory, type Gathering, type SendableFrame } from '#src/flush/gathering.js';
import { ROOT } from '#src/flush/messages.js';
import { parseOptions } from '#src/options.js';
import { FRAME_BYTES } from '#src/spool/spool.js';
import { print, quantile } from './side-figures.js';

const sizes = process.argv[2].split(',').map((each) => each.split(':').map(Number));
const comm = MPI.COMM_WORLD;
const channel = new Channel(await comm.idup());
const { roundBytes, ...patience } = parseOptions({}, {});
const memory = new RoundMemory();
const figures: Record<string, number> = {};

for (const [bytes, calls] of sizes) {
  const frames = framesOf(bytes);
  // A tenth, and at least two, to warm up: the compiler, and the root's memory.
  const warmUp = Math.max(2, Math.ceil(calls / 10));
  const times = new Float64Array(calls);
  for (let i = -warmUp; i < calls; i++) {
    comm.barrier();
    const started = performance.now();
    await flush(frames);
    if (i >= 0) times[i] = (performance.now() - started) * 1000;
  }
  const us = quantile(times, 0.5);
  figures[`us ${bytes}`] = us;
  figures[`MBps ${bytes}`] = (bytes * comm.size) / us;
}
figures.crcMBps = crcRate(sizes.at(-1)![0]);
if (comm.rank === ROOT) print(figures);

/** Bytes in frames, one behind the other, as a spool has them. */
function framesOf(bytes: number): SendableFrame[] {
  const all = randomFillSync(Buffer.alloc(bytes));
  const frames: SendableFrame[] = [];
  for (let at = 0; at < bytes; at += FRAME_BYTES) {
    const frame = all.subarray(at, at + FRAME_BYTES);
    frames.push({ size: frame.length, bytes: frame });
  }
  return frames;
}

/** What the root does. The recorder's is not made for each flush, either. */
function* lead(gathering: Gathering): Steps<string> {
  let gathered = 0;
  yield* gathering.rounds(roundBytes, memory, ({ bytes }) => {
    gathered += bytes;
    return Request.completed();
  });
  return JSON.stringify({ records: 0, ops: 0, bytes: gathered, ms: 0 });
}

/** Collective. What a flush tells the ranks when it has committed is told here, too. */
async function flush(frames: readonly SendableFrame[]): Promise<void> {
  const verdict = await channel.run({
    kind: 'flush',
    database: 1,
    patience,
    contribute: () => ({ frames, recorded: 0 }),
    lead,
  });
  verdictText(verdict);
  if (verdict.committed !== frames.length) throw new Error(`${verdict.committed} of ${frames.length} frames came`);
}

/**
 * Collective. What sealing adds, which no gather has: MB/s of the check over the same bytes, of all ranks together as the
 * gather's are.
 */
function crcRate(bytes: number): number {
  const frames = framesOf(bytes);
  const times = Float64Array.from({ length: 10 }, () => {
    comm.barrier();
    const started = performance.now();
    for (const frame of frames) crc32(frame.bytes);
    return (performance.now() - started) * 1000;
  });
  return (bytes * comm.size) / quantile(times, 0.5);
}
