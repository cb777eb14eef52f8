import { MPI } from 'braid-mpi/mpi';

/** A piece of work, as the numbers of a message. */
export type Task = Float64Array;

const ASK = 1;
const GIVE = 2;
/** In the place of a task: there is no more. */
const NONE = -1;

/**
 * Collective. The tasks of this rank, one after the other, until none is left. Alone it gets them all. Of several ranks
 * rank 0 gets none: it gives them to those who ask, one at a time, so that a rank whose tasks are hard does fewer of them.
 *
 * @param supply the tasks, of `width` numbers each, none below 0; made one by one, and on rank 0 only.
 */
export async function* tasksOf(supply: Iterable<Task>, width: number, size: number): AsyncGenerator<Task> {
  // A single process never gets to MPI.
  if (size === 1) yield* supply;
  else if (MPI.COMM_WORLD.rank === 0) await giveOut(supply, width);
  else yield* askFor(width);
}

async function giveOut(supply: Iterable<Task>, width: number): Promise<void> {
  const comm = MPI.COMM_WORLD;
  const nothing = new Uint8Array(0);
  // Awaiting leaves the event loop to the flushes that are under way, and the core to the others.
  const asking = async () => (await comm.irecv(nothing, MPI.ANY_SOURCE, ASK)).source;
  for (const task of supply) comm.send(task, await asking(), GIVE);
  const end = new Float64Array(width).fill(NONE);
  for (let working = comm.size - 1; working > 0; working--) comm.send(end, await asking(), GIVE);
}

async function* askFor(width: number): AsyncGenerator<Task> {
  const comm = MPI.COMM_WORLD;
  const ask = () => {
    const task = new Float64Array(width);
    const arrival = comm.isendrecv(new Uint8Array(0), 0, ASK, task, 0, GIVE);
    return { task, arrival };
  };
  // The next one is asked for before work on this one begins, and so is there when that ends.
  let next = ask();
  for (;;) {
    const { task, arrival } = next;
    await arrival;
    if (task[0] === NONE) return;
    next = ask();
    yield task;
  }
}
