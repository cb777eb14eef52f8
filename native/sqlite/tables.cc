#include "tables.h"

#include <new>
#include <variant>

#include "time_text.h"

SQLITE_EXTENSION_INIT3

namespace braid {
namespace {

// Where a column's value goes.
struct Output {
  sqlite3_context* context;
  TimeText* time;

  void Null() const { sqlite3_result_null(context); }
  void Integer(int64_t value) const { sqlite3_result_int64(context, value); }
  void Time(int64_t microseconds) const {
    sqlite3_result_text(context, time->Format(microseconds), TimeText::kBytes, SQLITE_TRANSIENT);
  }
  void Uuid(const uint8_t* uuid) const {
    const Hex hex = ToHex(uuid);
    sqlite3_result_text(context, hex.data(), hex.size(), SQLITE_TRANSIENT);
  }

  // Without a copy: see Session::readers.
  void String(const Text& text) const {
    sqlite3_result_text(context, text.data, static_cast<int>(text.bytes), SQLITE_STATIC);
  }
  void String(const Hex& hex) const {
    sqlite3_result_text(context, hex.data(), static_cast<int>(hex.size()), SQLITE_STATIC);
  }
};

// The op of the row that a cursor stands at, for the tables of which every round has most rows: read once for
// all of its columns.
class RowOp {
 public:
  void Forget() { known_ = false; }

  template <class Op, class Make>
  const Op& Of(const Make& make) {
    if (!known_) op_ = make();
    known_ = true;
    return *std::get_if<Op>(&op_);
  }

  template <class Op>
  const Op& At(const Round& round, uint32_t offset) {
    return Of<Op>([&] { return round.At<Op>(offset); });
  }

 private:
  bool known_ = false;
  std::variant<RecordOp, UriOp, TagOp, DerivationOp> op_;
};

// The five columns `run, attempt, step, rank, ordinal`, all NULL where there is no version.
void VersionColumn(const Version& version, const Frame& frame, int column, Output out) {
  if (!version.Known()) return out.Null();
  const bool elsewhere = version.form == Form::kElsewhere;
  switch (column) {
    case 0:
      return elsewhere ? out.Uuid(version.run) : out.String(frame.run);
    case 1:
      return out.Integer(elsewhere ? version.attempt : frame.attempt);
    case 2:
      return version.OfStep() ? out.Integer(version.step) : out.Null();
    case 3:
      return out.Integer(version.rank);
    default:
      return out.Integer(version.ordinal);
  }
}

// The four columns `key, value, tag_type, boolean`.
void TagColumn(const Tag& tag, int column, Output out) {
  switch (column) {
    case 0:
      return out.String(tag.key);
    case 1:
      return out.String(tag.value);
    case 2:
      return out.Integer(tag.type);
    default:
      return out.Integer(tag.boolean);
  }
}

void FrameColumn(const Round& round, size_t row, RowOp&, int column, Output out) {
  const Frame& frame = round.frames[row];
  switch (column) {
    case 0:
      return out.String(frame.run);
    case 1:
      return out.Integer(frame.attempt);
    case 2:
      return out.Integer(frame.rank);
    case 3:
      return out.Integer(frame.seq);
    case 4:
      return out.Integer(frame.bytes);
    case 5:
      return out.Integer(frame.ops);
    default:
      return out.Integer(frame.records);
  }
}

void RecordColumn(const Round& round, size_t row, RowOp& row_op, int column, Output out) {
  const auto& op = row_op.At<RecordOp>(round, round.records[row].row.op);
  switch (column) {
    case 0:
      return out.Integer(op.id);
    case 1:
      return out.String(op.name);
    case 2:
      return out.Time(op.time);
    default:
      return out.Integer(op.kind);
  }
}

void UriColumn(const Round& round, size_t row, RowOp& row_op, int column, Output out) {
  const auto& op = row_op.At<UriOp>(round, round.uris[row].row.op);
  return column == 0 ? out.Integer(op.record) : out.String(op.uri);
}

void TagsColumn(const Round& round, size_t row, RowOp& row_op, int column, Output out) {
  const auto& op = row_op.At<TagOp>(round, round.tags[row].row.op);
  return column == 0 ? out.Integer(op.record) : TagColumn(op.tag, column - 1, out);
}

DerivationOp DerivationAt(const Round& round, const Row& row) {
  if (round.TypeAt(row.op) == OpType::kDerivation) return round.At<DerivationOp>(row.op);
  const auto exposure = round.At<ExposureOp>(row.op);
  const auto update = round.At<UpdateOp>(round.updates[row.owner].op);
  return {exposure.source, exposure.version, update.model, update.time};
}

void DerivationColumn(const Round& round, size_t row, RowOp& row_op, int column, Output out) {
  const auto& op = row_op.Of<DerivationOp>([&] { return DerivationAt(round, round.derivations[row].row); });
  switch (column) {
    case 0:
      return out.Integer(op.source);
    case 1:
      return out.Integer(op.derived);
    case 2:
      return out.Time(op.time);
    case 3:
      return out.Integer(op.version.form == Form::kUnknown);
    default:
      return out.Integer(round.TypeAt(round.derivations[row].row.op) == OpType::kDerivation);
  }
}

void DerivationVersionColumn(const Round& round, size_t row, RowOp&, int column, Output out) {
  const Row& at = round.derivation_versions[row].row;
  const auto op = round.At<DerivationOp>(at.op);
  switch (column) {
    case 0:
      return out.Integer(op.source);
    case 1:
      return out.Integer(op.derived);
    default:
      return VersionColumn(op.version, round.frames[at.owner], column - 2, out);
  }
}

void MentionColumn(const Round& round, size_t row, RowOp&, int column, Output out) {
  const Mention& mention = round.versions[row];
  int64_t model;
  Version version;
  switch (round.TypeAt(mention.op)) {
    case OpType::kUpdate: {
      const auto op = round.At<UpdateOp>(mention.op);
      model = op.model;
      version = mention.seen ? op.seen : op.made;
      break;
    }
    case OpType::kExposure: {
      const auto op = round.At<ExposureOp>(mention.op);
      model = op.source;
      version = op.version;
      break;
    }
    case OpType::kInvalidation: {
      const auto op = round.At<InvalidationOp>(mention.op);
      model = op.record;
      version = op.version;
      break;
    }
    default: {
      const auto op = round.At<DerivationOp>(mention.op);
      model = op.source;
      version = op.version;
    }
  }
  return column == 0 ? out.Integer(model)
                     : VersionColumn(version, round.frames[mention.frame], column - 1, out);
}

void UpdateColumn(const Round& round, size_t row, RowOp&, int column, Output out) {
  const Row& at = round.updates[row];
  const Frame& frame = round.frames[at.owner];
  const auto op = round.At<UpdateOp>(at.op);
  switch (column) {
    case 0:
      return out.Integer(static_cast<int64_t>(row));
    case 1:
      return out.Integer(op.model);
    case 7:
      return out.Time(op.time);
    case 8:
      return out.Integer(frame.rank);
    default:
      return column < 7 ? VersionColumn(op.made, frame, column - 2, out)
                        : VersionColumn(op.seen, frame, column - 9, out);
  }
}

void ExposureColumn(const Round& round, size_t row, RowOp&, int column, Output out) {
  const Row& at = round.exposures[row];
  const auto op = round.At<ExposureOp>(at.op);
  switch (column) {
    case 0:
      return out.Integer(at.owner);
    case 1:
      return out.Integer(op.source);
    case 2:
      return out.Integer(op.version.form == Form::kUnknown);
    default:
      return VersionColumn(op.version, round.frames[round.updates[at.owner].owner], column - 3, out);
  }
}

void VersionUriColumn(const Round& round, size_t row, RowOp&, int column, Output out) {
  const Row& at = round.version_uris[row];
  return column == 0 ? out.Integer(at.owner) : out.String(round.At<VersionUriOp>(at.op).uri);
}

void VersionTagColumn(const Round& round, size_t row, RowOp&, int column, Output out) {
  const Row& at = round.version_tags[row];
  return column == 0 ? out.Integer(at.owner) : TagColumn(round.At<VersionTagOp>(at.op).tag, column - 1, out);
}

void InvalidationColumn(const Round& round, size_t row, RowOp&, int column, Output out) {
  const Row& at = round.invalidations[row];
  const auto op = round.At<InvalidationOp>(at.op);
  switch (column) {
    case 0:
      return out.Uuid(op.id);
    case 1:
      return out.Integer(op.record);
    case 2:
      return out.Integer(op.cascades);
    case 3:
      return out.Time(op.time);
    case 4:
      return out.String(op.cause);
    default:
      return VersionColumn(op.version, round.frames[at.owner], column - 5, out);
  }
}

void InvalidationActionColumn(const Round& round, size_t row, RowOp&, int column, Output out) {
  const auto op = round.At<InvalidationActionOp>(round.invalidation_actions[row].op);
  switch (column) {
    case 0:
      return out.Uuid(op.id);
    case 1:
      return out.Integer(op.record);
    case 2:
      return out.Integer(op.type);
    case 3:
      return out.Time(op.time);
    case 4:
      return out.String(op.name);
    case 5:
      return out.String(op.command);
    default:
      return out.String(op.params);
  }
}

struct Table {
  const char* name;
  const char* schema;
  size_t (*rows)(const Round&);
  void (*column)(const Round&, size_t row, RowOp&, int column, Output);
};

template <auto list>
size_t Count(const Round& round) {
  return (round.*list).size();
}

constexpr Table kTables[] = {
    {"braid_round_frames",
     "CREATE TABLE x(run TEXT, attempt INTEGER, rank INTEGER, seq INTEGER, bytes INTEGER, ops INTEGER, "
     "records INTEGER)",
     Count<&Round::frames>, FrameColumn},
    {"braid_round_records", "CREATE TABLE x(record_id INTEGER, name TEXT, time TEXT, kind INTEGER)",
     Count<&Round::records>, RecordColumn},
    {"braid_round_uris", "CREATE TABLE x(record_id INTEGER, uri TEXT)", Count<&Round::uris>, UriColumn},
    {"braid_round_tags",
     "CREATE TABLE x(record_id INTEGER, key TEXT, value TEXT, tag_type INTEGER, boolean INTEGER)",
     Count<&Round::tags>, TagsColumn},
    {"braid_round_derivations",
     "CREATE TABLE x(record_id INTEGER, derivation INTEGER, time TEXT, unversioned INTEGER, stated INTEGER)",
     Count<&Round::derivations>, DerivationColumn},
    {"braid_round_derivation_versions",
     "CREATE TABLE x(record_id INTEGER, derivation INTEGER, run TEXT, attempt INTEGER, step INTEGER, "
     "rank INTEGER, ordinal INTEGER)",
     Count<&Round::derivation_versions>, DerivationVersionColumn},
    {"braid_round_versions",
     "CREATE TABLE x(model_id INTEGER, run TEXT, attempt INTEGER, step INTEGER, rank INTEGER, "
     "ordinal INTEGER)",
     Count<&Round::versions>, MentionColumn},
    {"braid_round_updates",
     "CREATE TABLE x(update_index INTEGER, model_id INTEGER, run TEXT, attempt INTEGER, step INTEGER, "
     "rank INTEGER, ordinal INTEGER, time TEXT, recorder INTEGER, seen_run TEXT, seen_attempt INTEGER, "
     "seen_step INTEGER, seen_rank INTEGER, seen_ordinal INTEGER)",
     Count<&Round::updates>, UpdateColumn},
    {"braid_round_exposures",
     "CREATE TABLE x(update_index INTEGER, source_id INTEGER, unversioned INTEGER, run TEXT, "
     "attempt INTEGER, step INTEGER, rank INTEGER, ordinal INTEGER)",
     Count<&Round::exposures>, ExposureColumn},
    {"braid_round_version_uris", "CREATE TABLE x(update_index INTEGER, uri TEXT)",
     Count<&Round::version_uris>, VersionUriColumn},
    {"braid_round_version_tags",
     "CREATE TABLE x(update_index INTEGER, key TEXT, value TEXT, tag_type INTEGER, boolean INTEGER)",
     Count<&Round::version_tags>, VersionTagColumn},
    {"braid_round_invalidations",
     "CREATE TABLE x(id TEXT, record_id INTEGER, cascade INTEGER, time TEXT, cause TEXT, run TEXT, "
     "attempt INTEGER, step INTEGER, rank INTEGER, ordinal INTEGER)",
     Count<&Round::invalidations>, InvalidationColumn},
    {"braid_round_invalidation_actions",
     "CREATE TABLE x(id TEXT, record_id INTEGER, action_type INTEGER, time TEXT, name TEXT, cmd TEXT, "
     "params TEXT)",
     Count<&Round::invalidation_actions>, InvalidationActionColumn},
};

// One table in one connection: what SQLite keeps for us and gives to Connect.
struct Module {
  const Table& table;
  std::shared_ptr<Session> session;
};

struct VirtualTable : sqlite3_vtab {
  const Module& module;
};

struct Cursor : sqlite3_vtab_cursor {
  Cursor(const Table& of, Session& in) : sqlite3_vtab_cursor{}, table(of), session(in) { ++session.readers; }
  ~Cursor() { --session.readers; }
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;

  const Table& table;
  Session& session;
  size_t row = 0;
  size_t rows = 0;
  RowOp op;
  TimeText time;
};

int Connect(sqlite3* db, void* aux, int, const char* const*, sqlite3_vtab** table, char**) {
  const Module& module = *static_cast<const Module*>(aux);
  if (const int rc = sqlite3_declare_vtab(db, module.table.schema); rc != SQLITE_OK) return rc;
  if (const int rc = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY); rc != SQLITE_OK) return rc;
  *table = new (std::nothrow) VirtualTable{{}, module};
  return *table == nullptr ? SQLITE_NOMEM : SQLITE_OK;
}

int Disconnect(sqlite3_vtab* table) {
  delete static_cast<VirtualTable*>(table);
  return SQLITE_OK;
}

// The same cost whatever is loaded: statements are prepared once, often before the first round, and must not
// be planned for an empty one.
int BestIndex(sqlite3_vtab*, sqlite3_index_info* info) {
  info->estimatedCost = 1e6;
  info->estimatedRows = 1'000'000;
  return SQLITE_OK;
}

int Open(sqlite3_vtab* table, sqlite3_vtab_cursor** cursor) {
  const Module& module = static_cast<VirtualTable*>(table)->module;
  *cursor = new (std::nothrow) Cursor(module.table, *module.session);
  return *cursor == nullptr ? SQLITE_NOMEM : SQLITE_OK;
}

int Close(sqlite3_vtab_cursor* cursor) {
  delete static_cast<Cursor*>(cursor);
  return SQLITE_OK;
}

int Filter(sqlite3_vtab_cursor* base, int, const char*, int, sqlite3_value**) {
  Cursor& cursor = *static_cast<Cursor*>(base);
  cursor.row = 0;
  cursor.op.Forget();
  cursor.rows = cursor.table.rows(cursor.session.round);
  return SQLITE_OK;
}

int Next(sqlite3_vtab_cursor* base) {
  Cursor& cursor = *static_cast<Cursor*>(base);
  ++cursor.row;
  cursor.op.Forget();
  return SQLITE_OK;
}

int Eof(sqlite3_vtab_cursor* base) {
  const Cursor& cursor = *static_cast<Cursor*>(base);
  return cursor.row >= cursor.rows;
}

int Column(sqlite3_vtab_cursor* base, sqlite3_context* context, int column) {
  Cursor& cursor = *static_cast<Cursor*>(base);
  cursor.table.column(cursor.session.round, cursor.row, cursor.op, column, {context, &cursor.time});
  return SQLITE_OK;
}

int Rowid(sqlite3_vtab_cursor* cursor, sqlite3_int64* rowid) {
  *rowid = static_cast<sqlite3_int64>(static_cast<Cursor*>(cursor)->row);
  return SQLITE_OK;
}

constexpr sqlite3_module MakeMethods() {
  sqlite3_module methods{};  // without xCreate: eponymous only
  methods.xConnect = Connect;
  methods.xDisconnect = Disconnect;
  methods.xBestIndex = BestIndex;
  methods.xOpen = Open;
  methods.xClose = Close;
  methods.xFilter = Filter;
  methods.xNext = Next;
  methods.xEof = Eof;
  methods.xColumn = Column;
  methods.xRowid = Rowid;
  return methods;
}

constexpr sqlite3_module kMethods = MakeMethods();

}  // namespace

int RegisterTables(sqlite3* db, const std::shared_ptr<Session>& session) {
  for (const Table& table : kTables) {
    auto* module = new (std::nothrow) Module{table, session};
    if (module == nullptr) return SQLITE_NOMEM;
    // On failure, too, SQLite calls the destructor.
    const int rc = sqlite3_create_module_v2(db, table.name, &kMethods, module,
                                            [](void* aux) { delete static_cast<Module*>(aux); });
    if (rc != SQLITE_OK) return rc;
  }
  return SQLITE_OK;
}

}  // namespace braid
