import type { RecorderCommunicator } from './comm/communicator.js';
import { LocalCommunicator } from './comm/local-communicator.js';
import { Channel } from './flush/channel.js';
import { watchWait } from './flush/patience.js';
import type { Patience } from './options.js';

const channels = new WeakMap<RecorderCommunicator, Promise<Channel>>();

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
  const stopWatch = watchWait(comm, patience, {
    stalled: () => `in open() for other ranks: all ${comm.size} must call BraidDB.open()`,
    ended: () => `not all of the ${comm.size} ranks came to open()`,
  });
  try {
    return new Channel(await comm.idup(), description);
  } finally {
    stopWatch();
  }
}
