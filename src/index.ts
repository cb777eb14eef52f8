/**
 * What users import. `braid-mpi/mpi` has the MPI binding.
 */
import { watchForFailure } from './comm/failed-rank.js';

export { BraidDB, type FlushResult } from './braid-db.js';
export { create, type CreateReport } from './create.js';
export { doctor, type DoctorReport, type Finding, type FindingLevel } from './doctor.js';
export { BraidError, type BraidErrorCode } from './errors.js';
export {
  EXPORT_FORMATS,
  EXPORT_TABLES,
  exportDatabase,
  type ExportFormat,
  type ExportOptions,
  type ExportProgress,
  type ExportTable,
  type SkippedFile,
} from './export.js';
export { importDocument, type ImportOptions, type ImportProgress, type ImportReport } from './import.js';
export { postOpenLineage, type PostOptions, type PostReport } from './post.js';
export {
  invalidate,
  revalidate,
  type Invalidable,
  type InvalidateOptions,
  type InvalidateReport,
  type RevalidateOptions,
  type RevalidateReport,
} from './invalidate.js';
export { extract, type ExtractOptions, type ExtractProgress, type ExtractReport } from './extract.js';
export { merge, type MergeCounts, type MergeOptions, type MergeProgress, type MergeReport } from './merge.js';
export { prune, type PruneOptions, type PruneProgress, type PruneReport } from './prune.js';
export type { ActionOptions, ActionResult } from './invalidation-actions.js';
export {
  addInvalidationActionToRecord,
  addRecordForActionStep,
  addRecords,
  addTransferRequest,
  callFunction,
  createInvalidationAction,
  serveFunctions,
  type ActionStep,
  type ActionStepResult,
  type AddInvalidationAction,
  type AddInvalidationActionResult,
  type AddedRecord,
  type CallOptions,
  type CreateInvalidationAction,
  type CreateInvalidationActionResult,
  type FunctionServer,
  type IdOrStep,
  type RecordDefinition,
  type RecordDict,
  type ServeOptions,
  type ServedRequest,
  type TransferRequest,
  type TransferRequestResult,
  type TypedTag,
} from './functions.js';
export type { Kind } from './frame/format.js';
export type { OpenOptions } from './options.js';
export { follow, type FollowEvent, type FollowOptions, type FollowedRun, type FollowedVersion } from './follow.js';
export { findRecord, findRun } from './query/find.js';
export { foldGraph } from './query/fold.js';
export {
  BraidReader,
  checkStatement,
  statementMarkdown,
  statementText,
  type CheckedSentence,
  type CommonRow,
  type Difference,
  type ExposureRow,
  type GraphEdge,
  type GraphFold,
  type GraphNode,
  type GraphOptions,
  type LineageGraph,
  type ActionRunRow,
  type InvalidationHistory,
  type InvalidationRow,
  type LineageOptions,
  type LineageRow,
  type NodeName,
  type NodeRow,
  type RecordFilter,
  type RecordOrigin,
  type RecordRow,
  type Relation,
  type RunRow,
  type Sentence,
  type Statement,
  type StatementCheck,
  type StatementOptions,
  type Topic,
  type VersionName,
  type VersionOf,
  type VersionRow,
  type Why,
  type WhyInvalid,
  type WhyStep,
} from './query/reader.js';
export type { SearchOptions } from './query/search.js';
export { BraidSearchError } from './query/search-expression.js';
export { upgrade, type UpgradeOptions, type UpgradeProgress, type UpgradeReport } from './upgrade.js';
export type { VerifyCheck, VerifyProblem, VerifyReport } from './query/verify.js';
export { verify } from './verify.js';
export type { InvalidationAction } from './record/action.js';
export type { InvalidateInit } from './record/invalidation.js';
export { BraidData } from './record/data.js';
export { BraidFact } from './record/fact.js';
export { BraidModel, type UpdateInit } from './record/model.js';
export { BraidRecord, type RecordInit, type Source } from './record/record.js';
export type { Tag, Tags, TagTypeName } from './record/tags.js';
export { BraidVersion } from './record/version.js';
export { recover, type RecoverOptions, type RecoverProgress } from './recover.js';
export { renderGraph, type GraphFormat } from './render-graph.js';
export type { LeftAlone, RecoverReport, RecoveredAttempt } from './recovery-report.js';
export {
  databaseStats,
  runDetails,
  type DatabaseStats,
  type RankStats,
  type RecordingCost,
  type RunDetails,
  type RunStats,
} from './stats.js';
export type { Spread } from './run-report.js';

watchForFailure();
