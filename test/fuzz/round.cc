// libFuzzer's target: any bytes as a round, and then every column of every table of it. See scripts/fuzz.

#include <sqlite3.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" int sqlite3_braidsqlite_init(sqlite3*, char**, const sqlite3_api_routines*);
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

constexpr size_t kHeaderBytes = 64;
const char* const kTables[] = {"frames",   "records",      "uris",         "tags",
                               "updates",  "derivations",  "exposures",    "derivation_versions",
                               "versions", "version_uris", "version_tags", "invalidations"};

void Check(bool right, const char* what) {
  if (right) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

sqlite3* Open() {
  sqlite3_auto_extension(reinterpret_cast<void (*)()>(sqlite3_braidsqlite_init));
  sqlite3* db;
  Check(sqlite3_open(":memory:", &db) == SQLITE_OK, "no database");
  return db;
}

sqlite3_stmt* Prepare(sqlite3* db, const char* sql) {
  sqlite3_stmt* statement;
  Check(sqlite3_prepare_v2(db, sql, -1, &statement, nullptr) == SQLITE_OK, sqlite3_errmsg(db));
  return statement;
}

void Put(uint8_t* at, uint32_t value) {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<uint8_t>(value >> 8 * i);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static sqlite3* const db = Open();
  static sqlite3_stmt* const load = Prepare(db, "SELECT braid_round_load(?)");
  // Not SQLite's own copy: what is read beyond the end is to be noticed.
  sqlite3_bind_blob(load, 1, size == 0 ? reinterpret_cast<const uint8_t*>("") : data, static_cast<int>(size),
                    SQLITE_STATIC);
  const bool sound = sqlite3_step(load) == SQLITE_ROW;
  sqlite3_reset(load);
  for (const char* table : kTables) {
    char sql[96];
    // Into a real table, as a commit does it: every text is copied, to its last byte.
    std::snprintf(sql, sizeof sql, "CREATE TEMP TABLE t AS SELECT rowid AS n, * FROM braid_round_%s", table);
    Check(sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK, sqlite3_errmsg(db));
    sqlite3_stmt* const rows = Prepare(db, "SELECT count(*) FROM t");
    Check(sqlite3_step(rows) == SQLITE_ROW, "no count");
    if (!sound) Check(sqlite3_column_int64(rows, 0) == 0, "rows of a damaged round");
    sqlite3_finalize(rows);
    sqlite3_exec(db, "DROP TABLE t", nullptr, nullptr, nullptr);
  }
  return 0;
}

// Most mutations would fail at the header's counts; half of them are made to pass there, as one frame.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 2 == 0 || size < kHeaderBytes) return size;
  size -= size % 4;
  std::memcpy(data, "BRFR\1\0\1\0", 8);
  if (data[24] == 0) data[24] = 1;
  if (data[32] == 0) data[32] = 1;
  uint32_t ops = 0;
  uint32_t records = 0;
  for (size_t at = kHeaderBytes; at + 4 <= size;) {
    const size_t length = data[at] | data[at + 1] << 8 | data[at + 2] << 16;
    if (length < 8 || length % 4 != 0 || length > size - at) break;
    ++ops;
    if (data[at + 3] == 1) ++records;
    at += length;
  }
  Put(data + 36, static_cast<uint32_t>(size - kHeaderBytes));
  Put(data + 40, ops);
  Put(data + 44, records);
  std::memset(data + 52, 0, 12);
  return size;
}
