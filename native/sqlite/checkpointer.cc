#include "checkpointer.h"

#include <cstring>
#include <system_error>

SQLITE_EXTENSION_INIT3

namespace braid {
namespace {

// SQLite's own default.
constexpr int kLongPages = 1000;

// A writer that never pauses would let the log grow for ever: SQLite begins it anew only when all of it is in
// the file. So from here on, 256 MiB of pages of 4 KiB, it waits for that.
constexpr int kMostPages = 65536;

constexpr char kMain[] = "main";

}  // namespace

void Checkpointer::Attach(sqlite3* db) {
  sqlite3_wal_hook(db, Committed, this);
}

void Checkpointer::End() {
  if (thread_.joinable()) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
    ending_ = false;
  }
  sqlite3_close(connection_);
  connection_ = nullptr;
}

int Checkpointer::Committed(void* self, sqlite3* db, const char* name, int pages) {
  if (pages < kLongPages) return SQLITE_OK;
  auto& checkpointer = *static_cast<Checkpointer*>(self);
  const bool is_main = std::strcmp(name, kMain) == 0;
  if (is_main && (checkpointer.thread_.joinable() || checkpointer.Begin(db))) {
    checkpointer.Want(pages >= kMostPages);
  } else {
    // As SQLite itself does; what comes of it isn't the commit's error.
    sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  }
  return SQLITE_OK;
}

// Returns false where there can be no thread, or no second connection.
bool Checkpointer::Begin(sqlite3* db) {
  const char* path = sqlite3_db_filename(db, kMain);
  if (path == nullptr || *path == '\0') return false;
  int rc = sqlite3_open_v2(path, &connection_, SQLITE_OPEN_READWRITE, nullptr);
  // Of a connection that has read nothing SQLite doesn't know that there is a log.
  if (rc == SQLITE_OK) rc = sqlite3_exec(connection_, "PRAGMA schema_version", nullptr, nullptr, nullptr);
  // Whether the log is brought in at the end is for the writer to say.
  if (rc == SQLITE_OK) rc = sqlite3_db_config(connection_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  if (rc == SQLITE_OK) {
    try {
      thread_ = std::thread([this] { Run(); });
      return true;
    } catch (const std::system_error&) {
    }
  }
  End();
  return false;
}

void Checkpointer::Want(bool and_wait) {
  std::unique_lock<std::mutex> lock(mutex_);
  wanted_ = true;
  changed_.notify_all();
  if (and_wait) changed_.wait(lock, [this] { return !wanted_ && !busy_; });
}

void Checkpointer::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return wanted_ || ending_; });
    if (ending_) return;
    wanted_ = false;
    busy_ = true;
    lock.unlock();
    // What fails now is tried again after the next commit.
    sqlite3_wal_checkpoint_v2(connection_, kMain, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace braid
