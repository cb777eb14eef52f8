import { readFileSync } from 'node:fs';
import process from 'node:process';

/** What loading and initialising MPI may add to the heap before UCX comes to its trial, many times over. */
const ENOUGH_ROOM = 64 * 2 ** 20;

/**
 * Keeps UCX, the network layer below MPICH and others, from breaking the heap of this process. It reads its settings when
 * it is loaded, so this comes before the addon is.
 *
 * When UCX has hooked the memory calls of the process it tries its hooks by `sbrk(page)` and `sbrk(-page)`, and doesn't
 * look whether the first succeeded (`ucm_fire_mmap_events` in its `src/ucm/mmap/install.c`). Where the heap can't grow,
 * because something is mapped right above it, the second takes away a page that malloc has given out. In most programs
 * nothing is there. V8 looks for memory near the executable for its code, and in one start of a hundred or so takes what
 * lies next to the heap; the rank then dies of a segmentation fault in the garbage collector.
 *
 * There, and only there, UCX is told to leave the hooks alone, unless its user has said what it shall do. The price is
 * that it can't remember which memory is registered with the network adapter.
 */
export function keepUcxOffTheHeap(): void {
  if (process.env.UCX_MEM_EVENTS === undefined && roomAboveHeap(readMaps()) < ENOUGH_ROOM)
    process.env.UCX_MEM_EVENTS = 'no';
}

/** Bytes between the heap and what is mapped above it, by the text of `/proc/self/maps`. */
export function roomAboveHeap(maps: string): number {
  const lines = maps.split('\n');
  const heap = lines.findIndex((line) => line.endsWith('[heap]'));
  if (heap < 0 || !lines[heap + 1]) return Infinity;
  const [, end] = addresses(lines[heap]);
  const [start] = addresses(lines[heap + 1]);
  return start - end;
}

function addresses(line: string): number[] {
  return line
    .split(' ', 1)[0]
    .split('-')
    .map((address) => parseInt(address, 16));
}

function readMaps(): string {
  try {
    return readFileSync('/proc/self/maps', 'utf8');
  } catch {
    // No /proc, no knowledge; what follows is the ordinary case.
    return '';
  }
}
