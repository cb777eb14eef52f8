import { BraidError } from '../errors.js';
import { checkBytes, checkEach, checkInteger, checkRank, checkTag, checkUneven } from './arguments.js';
import type { EachRequest, RecorderCommunicator } from './communicator.js';
import { MpiError } from './mpi-error.js';
import { Request } from './request.js';

const TAG_UPPER_BOUND = 2 ** 31 - 1;

/**
 * The communicator of a process that is alone: the serial twin of `Communicator`. It checks the same arguments with the
 * same errors, so that what runs in one process doesn't first fail in a job.
 */
export class LocalCommunicator implements RecorderCommunicator {
  readonly rank = 0;
  readonly size = 1;
  #mailboxes = new Map<number, Mailbox>();
  #freed = false;

  idup(): Request<LocalCommunicator> {
    this.#checkLive();
    return Request.completed(new LocalCommunicator());
  }

  isendEach(buffer: Uint8Array, bytesEach: number, dests: Int32Array, tag: number): Request {
    this.#checkLive();
    checkEach(buffer, bytesEach, dests, 'dests', this.size);
    checkTag(tag, TAG_UPPER_BOUND);
    const mailbox = this.#mailbox(tag);
    for (let i = 0; i < dests.length; i++) mailbox.put(buffer.slice(i * bytesEach, (i + 1) * bytesEach));
    return Request.completed();
  }

  irecvEach(buffer: Uint8Array, bytesEach: number, sources: Int32Array, tag: number): EachRequest {
    this.#checkLive();
    checkEach(buffer, bytesEach, sources, 'sources', this.size);
    checkTag(tag, TAG_UPPER_BOUND);
    const request = new LocalReceive(sources.length);
    const mailbox = this.#mailbox(tag);
    for (let i = 0; i < sources.length; i++) {
      const place = buffer.subarray(i * bytesEach, (i + 1) * bytesEach);
      mailbox.take((message) => request.arrived(i, place, message));
    }
    return request;
  }

  igatherv(
    send: Uint8Array,
    root: number,
    receive: Uint8Array | null,
    counts: Int32Array | null,
    displs: Int32Array | null,
  ): Request {
    this.#checkLive();
    checkRank(root, 'root', this.size);
    checkBytes(send, 'send');
    checkUneven(send, receive, counts, displs, this, true);
    receive!.set(send, displs![0]);
    return Request.completed();
  }

  ibcast(buffer: Uint8Array, root: number): Request {
    this.#checkLive();
    checkBytes(buffer, 'buffer');
    checkRank(root, 'root', this.size);
    return Request.completed();
  }

  abort(exitCode: number): never {
    checkInteger(exitCode, 'exitCode', 0, 255);
    process.exit(exitCode);
  }

  free(): void {
    this.#checkLive();
    this.#freed = true;
  }

  #mailbox(tag: number): Mailbox {
    let mailbox = this.#mailboxes.get(tag);
    if (!mailbox) this.#mailboxes.set(tag, (mailbox = new Mailbox()));
    return mailbox;
  }

  #checkLive(): void {
    if (this.#freed) throw new BraidError('ERR_BRAID_MPI_FREED', 'this communicator has been freed');
  }
}

/** Messages and receives of one tag, matched in order as MPI does. One of the two queues is empty at any time. */
class Mailbox {
  readonly #messages: Uint8Array[] = [];
  readonly #receives: ((message: Uint8Array) => void)[] = [];

  put(message: Uint8Array): void {
    const receive = this.#receives.shift();
    if (receive) receive(message);
    else this.#messages.push(message);
  }

  take(receive: (message: Uint8Array) => void): void {
    const message = this.#messages.shift();
    if (message) receive(message);
    else this.#receives.push(receive);
  }
}

class LocalReceive extends Request implements EachRequest {
  readonly #pending: Set<number>;
  #failure: MpiError | undefined;

  constructor(messageCount: number) {
    super();
    this.#pending = new Set(Array(messageCount).keys());
    if (messageCount === 0) this.resolve();
  }

  arrived(index: number, place: Uint8Array, message: Uint8Array): void {
    if (message.length === place.length) place.set(message);
    else this.#failure ??= lengthError(message.length, place.length);
    this.#pending.delete(index);
    if (this.#pending.size > 0) return;
    if (this.#failure) this.reject(this.#failure);
    else this.resolve();
  }

  pending(): number[] {
    return [...this.#pending];
  }
}

function lengthError(got: number, wanted: number): MpiError {
  const errorClass = got > wanted ? 'MPI_ERR_TRUNCATE' : 'MPI_ERR_COUNT';
  return new MpiError('MPI_Irecv', errorClass, 0, `a message of ${got} bytes where ${wanted} are expected`);
}
