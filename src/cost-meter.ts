import type { Verdict } from './flush/channel.js';
import type { Header } from './flush/messages.js';
import type { Request } from './comm/request.js';
import type { Recorder } from './record/recorder.js';
import { reportOf, type RankCosts, type RunReport } from './run-report.js';
import type { Spool } from './spool/spool.js';
import { WaitClock } from './waiting.js';

/**
 * A flush brings the report, too, for a run that is killed; but not more often than this, in milliseconds for each rank, for
 * it takes some 2 µs a rank to make and to write: a hundredth of the time.
 */
const REPORT_EVERY_MS = 0.2;

/** Measures what recording costs this rank, and on the root keeps what all have said of themselves. */
export class CostMeter {
  readonly #blocked = new WaitClock();
  #verdictMs = 0;
  #gatherMs = 0;
  /** On the root: what each rank said when it came to the last flush, and when all had. */
  #headers: readonly Header[] = [];
  #allCame = 0;
  #began = performance.now();
  #reported = -Infinity;

  /** The attempt begins. */
  begin(): void {
    this.#began = performance.now();
  }

  /** The program waits for it from now on. */
  blocks(verdict: Request<Verdict>): void {
    if (verdict.done) return;
    this.#blocked.begin();
    verdict.onDone(() => this.#blocked.end());
  }

  /** A verdict is in, of a collective to which this rank had come at the time `come`. */
  told(come: number): void {
    this.#verdictMs += performance.now() - come;
  }

  of(recorder: Recorder, spool: Spool | undefined): RankCosts {
    return {
      captureMs: recorder.captureMs,
      sealMs: spool?.sealMs ?? 0,
      verdictMs: this.#verdictMs,
      blockedMs: this.#blocked.ms,
      peakSpoolBytes: spool?.fileBytes ?? 0,
    };
  }

  /** On the root: all ranks have come to a flush. */
  allCame(headers: readonly Header[]): void {
    this.#headers = headers;
    this.#allCame = performance.now();
  }

  gathered(ms: number): void {
    this.#gatherMs += ms;
  }

  /** On the root, for a flush to which all have come: what it is to bring, if that is due. */
  dueReport(peakRoundBytes: number): RunReport | undefined {
    if (this.#allCame - this.#reported < REPORT_EVERY_MS * this.#headers.length) return undefined;
    this.#reported = this.#allCame;
    return this.#report(peakRoundBytes, 0);
  }

  /** On the root, of a run that is killed by a signal: what the last flush told. */
  lastReport(peakRoundBytes: number): RunReport | undefined {
    return this.#headers.length > 0 ? this.#report(peakRoundBytes, 0) : undefined;
  }

  /**
   * On the root, at the end of a close, in which all have waited since the last of them came. What one waited that came
   * earlier isn't counted: without us it would wait for the others in MPI_Finalize.
   */
  finalReport(peakRoundBytes: number): RunReport {
    return this.#report(peakRoundBytes, performance.now() - this.#allCame);
  }

  #report(peakRoundBytes: number, closingMs: number): RunReport {
    const root = { gatherMs: this.#gatherMs, peakRoundBytes, untilMs: performance.now() - this.#began };
    return reportOf(
      this.#headers.map(({ costs }) => costs),
      root,
      closingMs,
    );
  }
}
