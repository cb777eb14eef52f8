/** What a reduction does with two elements. */
export class Op {
  /** MPI's name: 'MPI_SUM'. */
  readonly name: string;
  /** Whether only integers can be so combined. */
  readonly needsIntegers: boolean;
  /** What native code calls it. */
  readonly index: number;

  private constructor(name: string, index: number, needsIntegers: boolean) {
    this.name = name;
    this.index = index;
    this.needsIntegers = needsIntegers;
  }

  static readonly SUM = new Op('MPI_SUM', 0, false);
  static readonly PROD = new Op('MPI_PROD', 1, false);
  static readonly MIN = new Op('MPI_MIN', 2, false);
  static readonly MAX = new Op('MPI_MAX', 3, false);
  static readonly LAND = new Op('MPI_LAND', 4, true);
  static readonly LOR = new Op('MPI_LOR', 5, true);
  static readonly BAND = new Op('MPI_BAND', 6, true);
  static readonly BOR = new Op('MPI_BOR', 7, true);
}
