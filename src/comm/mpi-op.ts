/** What a reduction does with two elements. */
export class Op {
  /** MPI's name: 'MPI_SUM'. */
  readonly name: string;
  /** Whether only integers can be so combined. */
  readonly needsIntegers: boolean;
  /** What native code calls it. */
  readonly index: number;

  /** Whether an element is a pair: a value and an index beside it. */
  readonly pairs: boolean;

  private constructor(name: string, index: number, takes: 'numbers' | 'integers' | 'pairs') {
    this.name = name;
    this.index = index;
    this.needsIntegers = takes === 'integers';
    this.pairs = takes === 'pairs';
  }

  static readonly SUM = new Op('MPI_SUM', 0, 'numbers');
  static readonly PROD = new Op('MPI_PROD', 1, 'numbers');
  static readonly MIN = new Op('MPI_MIN', 2, 'numbers');
  static readonly MAX = new Op('MPI_MAX', 3, 'numbers');
  static readonly LAND = new Op('MPI_LAND', 4, 'integers');
  static readonly LOR = new Op('MPI_LOR', 5, 'integers');
  static readonly LXOR = new Op('MPI_LXOR', 6, 'integers');
  static readonly BAND = new Op('MPI_BAND', 7, 'integers');
  static readonly BOR = new Op('MPI_BOR', 8, 'integers');
  static readonly BXOR = new Op('MPI_BXOR', 9, 'integers');
  static readonly MINLOC = new Op('MPI_MINLOC', 10, 'pairs');
  static readonly MAXLOC = new Op('MPI_MAXLOC', 11, 'pairs');
}
