import type { RecorderCommunicator } from './comm/communicator.js';
import { LocalCommunicator } from './comm/local-communicator.js';
import { progress } from './comm/progress.js';
import { watchExit } from './exit.js';
import { Channel } from './flush/channel.js';
import { WaitWatch } from './flush/patience.js';
import type { Patience } from './options.js';

const channels = new WeakMap<RecorderCommunicator, Promise<Channel>>();
/** Of those over MPI: what the end of this process must tell the other ranks. */
const overMpi = new Set<Channel>();

/** One channel for all databases over a communicator, so that calls to different ones are told apart. */
export function channelOf(
  comm: RecorderCommunicator,
  description: object | undefined,
  patience: Patience,
): Promise<Channel> {
  let channel = channels.get(comm);
  if (!channel) {
    channel = openChannel(comm, description, patience);
    channels.set(comm, channel);
  }
  return channel;
}

async function openChannel(
  comm: RecorderCommunicator,
  description: object | undefined,
  patience: Patience,
): Promise<Channel> {
  // One rank needs no messages, and must be able to commit without its event loop.
  if (comm.size === 1) return new Channel(new LocalCommunicator(), description);
  // Until there is a channel nobody can tell which ranks are missing.
  const watch = new WaitWatch(comm);
  watch.begin(patience, {
    stalled: () => `in open() for other ranks: all ${comm.size} must call BraidDB.open()`,
    ended: () => `not all of the ${comm.size} ranks came to open()`,
  });
  try {
    const channel = new Channel(await comm.idup(), description);
    if (description) endWithProcess(channel);
    return channel;
  } finally {
    watch.end();
  }
}

/** From now on, whatever is open: the others count on a rank as long as it lives, and may open again what it has closed. */
function endWithProcess(channel: Channel): void {
  if (overMpi.size === 0)
    watchExit({ signals: [], killed: () => undefined, unclosed: (code) => code === 0 && endAll() });
  overMpi.add(channel);
}

/** Waits as MPI_Finalize, which comes next, would do; of all channels at once, as they have different roots. */
function endAll(): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const ends = [...overMpi].map((channel) => channel.end());
  while (!ends.every(({ done }) => done)) {
    progress.poke();
    // Those that are waited for may need this core.
    Atomics.wait(pause, 0, 0, 1);
  }
}
