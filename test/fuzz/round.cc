// libFuzzer's target: any bytes as a round, and then every column of every table of it. See scripts/fuzz.
// With BRAID_FUZZ_REFUSED in the environment every input must be refused.

#include <sqlite3.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

extern "C" int sqlite3_braidsqlite_init(sqlite3*, char**, const sqlite3_api_routines*);
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

constexpr size_t kHeaderBytes = 64;
const char* const kTables[] = {"frames",
                               "records",
                               "uris",
                               "tags",
                               "updates",
                               "derivations",
                               "exposures",
                               "derivation_versions",
                               "versions",
                               "version_uris",
                               "version_tags",
                               "invalidations",
                               "invalidation_actions"};

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

std::vector<sqlite3_stmt*> PrepareTables(sqlite3* db) {
  std::vector<sqlite3_stmt*> statements;
  for (const char* table : kTables) {
    statements.push_back(Prepare(db, (std::string("SELECT rowid, * FROM braid_round_") + table).c_str()));
  }
  return statements;
}

// As a blob, which is the extension's own memory and not SQLite's copy of it; to the last byte.
void ReadValue(sqlite3_stmt* row, int column) {
  static volatile unsigned sum;
  const auto* bytes = static_cast<const uint8_t*>(sqlite3_column_blob(row, column));
  const int count = sqlite3_column_bytes(row, column);
  for (int i = 0; i < count; ++i) sum = sum + bytes[i];
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
  static const bool refused = std::getenv("BRAID_FUZZ_REFUSED") != nullptr;
  static const std::vector<sqlite3_stmt*> tables = PrepareTables(db);
  for (sqlite3_stmt* rows : tables) {
    int step;
    while ((step = sqlite3_step(rows)) == SQLITE_ROW) {
      Check(sound, "rows of a damaged round");
      for (int column = 0; column < sqlite3_column_count(rows); ++column) ReadValue(rows, column);
    }
    Check(step == SQLITE_DONE, sqlite3_errmsg(db));
    sqlite3_reset(rows);
  }
  // Last: what the sanitizers have to say of it says more.
  Check(!(refused && sound), "a round that is damaged was taken");
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
