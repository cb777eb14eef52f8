// braid_sqlite: makes a round of frames readable in SQL, so that committing it takes no call per row. It
// works in any SQLite that loads extensions, by the function table that SQLite hands over; it never links a
// SQLite of its own.

#include <cstring>
#include <future>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "tables.h"

SQLITE_EXTENSION_INIT1

namespace braid {
namespace {

// SQLite's own limit.
constexpr int kMaxPageBytes = 65536;

// Of a round: to decode less takes a tenth of a millisecond or so, and a thread for it as long.
constexpr size_t kLeastForThread = 128 * 1024;

using SessionPointer = std::shared_ptr<Session>;

// The session, unless a statement that is still running reads its round.
Session* IdleSession(sqlite3_context* context) {
  Session& session = **static_cast<SessionPointer*>(sqlite3_user_data(context));
  if (session.readers == 0) return &session;
  sqlite3_result_error(context, "a statement is still reading the round", -1);
  return nullptr;
}

// Blocks of ids as JavaScript hands them over: three doubles each.
std::vector<IdBlock> ReadBlocks(sqlite3_value* value) {
  const size_t count = static_cast<size_t>(sqlite3_value_bytes(value)) / (3 * sizeof(double));
  std::vector<IdBlock> blocks(count);
  const auto* bytes = static_cast<const uint8_t*>(sqlite3_value_blob(value));
  for (IdBlock& block : blocks) {
    double numbers[3];
    std::memcpy(numbers, bytes, sizeof numbers);
    bytes += sizeof numbers;
    const bool sound = numbers[0] >= 1 && numbers[1] >= 0 && numbers[1] < 0x1p53 && numbers[2] >= 1 &&
                       numbers[0] < 0x1p53 && numbers[2] < 0x1p53;
    if (!sound) throw DamagedRound("a block of ids is none");
    block = {static_cast<int64_t>(numbers[0]), static_cast<int64_t>(numbers[1]),
             static_cast<int64_t>(numbers[2])};
  }
  return blocks;
}

// Runs what may throw, and tells of it as SQLite does.
template <class Work>
void Try(sqlite3_context* context, const Work& work) {
  try {
    work();
  } catch (const DamagedRound& damage) {
    sqlite3_result_error(context, damage.what(), -1);
  } catch (const std::exception&) {  // bad_alloc, or the length_error of a vector that can't grow
    sqlite3_result_error_nomem(context);
  }
}

// Copies a blob into a round that is to be decoded. Returns false, and has told why, if one of the arguments
// is none.
bool TakeBlob(sqlite3_context* context, int count, sqlite3_value** arguments, Round& round) {
  for (int i = 0; i < count; ++i) {
    if (sqlite3_value_type(arguments[i]) == SQLITE_BLOB) continue;
    sqlite3_result_error(context, "a round, and its blocks of ids, are blobs", -1);
    return false;
  }
  const void* bytes = sqlite3_value_blob(arguments[0]);
  const int size = sqlite3_value_bytes(arguments[0]);
  if (bytes == nullptr && size > 0) {
    sqlite3_result_error_nomem(context);
    return false;
  }
  round.Take(bytes, static_cast<size_t>(size));
  return true;
}

// braid_round_load(blob): the number of its ops, whose records may have any ids. Whatever was loaded before
// is dropped even if this one is damaged, so that nobody takes the old round for the new one.
void Load(sqlite3_context* context, int count, sqlite3_value** arguments) {
  Session* session = IdleSession(context);
  if (session == nullptr) return;
  session->round.Clear();
  Try(context, [&] {
    if (!TakeBlob(context, count, arguments, session->round)) return;
    DecodeRound(session->round, nullptr);
    sqlite3_result_int64(context, static_cast<sqlite3_int64>(session->round.ops));
  });
}

// braid_round_prepare(blob, blocks): NULL. Begins to decode a round for braid_round_load(), in another
// thread, while SQL is still reading the one before.
void Prepare(sqlite3_context* context, int count, sqlite3_value** arguments) {
  Session& session = **static_cast<SessionPointer*>(sqlite3_user_data(context));
  session.decoding = {};  // waits for one that nobody has taken
  Try(context, [&] {
    if (!TakeBlob(context, count, arguments, session.ahead)) return;
    // Where there can be no thread, and of what takes less than starting one, braid_round_load() decodes it.
    const auto when = session.ahead.size < kLeastForThread ? std::launch::deferred
                                                           : std::launch::async | std::launch::deferred;
    session.decoding = std::async(
        when, [&ahead = session.ahead, blocks = ReadBlocks(arguments[1])] { DecodeRound(ahead, &blocks); });
  });
}

// braid_round_load(): as above, of the round that was prepared.
void LoadPrepared(sqlite3_context* context, int, sqlite3_value**) {
  Session* session = IdleSession(context);
  if (session == nullptr) return;
  session->round.Clear();
  if (!session->decoding.valid()) return sqlite3_result_error(context, "no round was prepared", -1);
  Try(context, [&] {
    session->decoding.get();
    std::swap(session->round, session->ahead);
    sqlite3_result_int64(context, static_cast<sqlite3_int64>(session->round.ops));
  });
}

// braid_round_free(): NULL. With the memory that is kept from round to round.
void Free(sqlite3_context* context, int, sqlite3_value**) {
  Session* session = IdleSession(context);
  if (session == nullptr) return;
  session->decoding = {};
  session->ahead = Round{};
  session->round = Round{};
}

// braid_file_bytes(offset, count): that many bytes of the database's file as it is, whatever SQLite has in
// its cache and its log; NULL if it is shorter. By SQLite's own handle: who opens the file himself and closes
// it takes away the locks that this process has on it.
void FileBytes(sqlite3_context* context, int, sqlite3_value** arguments) {
  const sqlite3_int64 offset = sqlite3_value_int64(arguments[0]);
  const int count = sqlite3_value_int(arguments[1]);
  if (offset < 0 || count <= 0 || count > kMaxPageBytes) {
    return sqlite3_result_error(context, "braid_file_bytes takes an offset and a count of at most a page",
                                -1);
  }
  sqlite3_file* file = nullptr;
  sqlite3* db = sqlite3_context_db_handle(context);
  int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
  // One in memory has no file.
  if (rc != SQLITE_OK || file == nullptr || file->pMethods == nullptr) return sqlite3_result_null(context);
  void* bytes = sqlite3_malloc(count);
  if (bytes == nullptr) return sqlite3_result_error_nomem(context);
  rc = file->pMethods->xRead(file, bytes, count, offset);
  if (rc == SQLITE_OK) return sqlite3_result_blob(context, bytes, count, sqlite3_free);
  sqlite3_free(bytes);
  if (rc != SQLITE_IOERR_SHORT_READ) sqlite3_result_error_code(context, rc);
}

// braid_keep_log(): from now on the log is not brought into the file when this connection closes.
void KeepLog(sqlite3_context* context, int, sqlite3_value**) {
  sqlite3* db = sqlite3_context_db_handle(context);
  const int rc = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  if (rc != SQLITE_OK) sqlite3_result_error_code(context, rc);
}

// braid_checkpoint_end(): NULL. From here on nobody but this connection has the database open for it; until
// its next commit of some length.
void CheckpointEnd(sqlite3_context* context, int, sqlite3_value**) {
  Session& session = **static_cast<SessionPointer*>(sqlite3_user_data(context));
  session.checkpointer.End();
}

int RegisterFunction(sqlite3* db, const char* name, int arity, const SessionPointer& session,
                     void (*function)(sqlite3_context*, int, sqlite3_value**)) {
  auto* held = new (std::nothrow) SessionPointer(session);
  if (held == nullptr) return SQLITE_NOMEM;
  // On failure, too, SQLite calls the destructor.
  return sqlite3_create_function_v2(db, name, arity, SQLITE_UTF8 | SQLITE_DIRECTONLY, held, function, nullptr,
                                    nullptr, [](void* data) { delete static_cast<SessionPointer*>(data); });
}

int Register(sqlite3* db) {
  SessionPointer session;
  try {
    session = std::make_shared<Session>();
  } catch (const std::bad_alloc&) {
    return SQLITE_NOMEM;
  }
  int rc = RegisterFunction(db, "braid_round_load", 1, session, Load);
  if (rc == SQLITE_OK) rc = RegisterFunction(db, "braid_round_prepare", 2, session, Prepare);
  if (rc == SQLITE_OK) rc = RegisterFunction(db, "braid_round_load", 0, session, LoadPrepared);
  if (rc == SQLITE_OK) rc = RegisterFunction(db, "braid_round_free", 0, session, Free);
  if (rc == SQLITE_OK) rc = RegisterFunction(db, "braid_file_bytes", 2, session, FileBytes);
  if (rc == SQLITE_OK) rc = RegisterFunction(db, "braid_keep_log", 0, session, KeepLog);
  if (rc == SQLITE_OK) rc = RegisterFunction(db, "braid_checkpoint_end", 0, session, CheckpointEnd);
  if (rc == SQLITE_OK) rc = RegisterTables(db, session);
  if (rc == SQLITE_OK) session->checkpointer.Attach(db);
  return rc;
}

}  // namespace
}  // namespace braid

// The name that SQLite derives from the file's, braid_sqlite.so.
extern "C" __attribute__((visibility("default"))) int sqlite3_braidsqlite_init(
    sqlite3* db, char**, const sqlite3_api_routines* api) {
  SQLITE_EXTENSION_INIT2(api);
  return braid::Register(db);
}
