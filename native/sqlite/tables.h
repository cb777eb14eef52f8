// The tables that SQL reads a round through. Each is eponymous (nothing to create), read-only, and closed to
// triggers and views of a database that somebody else has written.
#pragma once

#include <future>
#include <memory>

#include <sqlite3ext.h>

#include "checkpointer.h"
#include "round.h"

namespace braid {

// What the functions and tables of one connection share.
struct Session {
  Round round;

  // The round after it, and what decodes that in a thread of its own. Declared last of the two: its end waits
  // for the thread.
  Round ahead;
  std::future<void> decoding;

  Checkpointer checkpointer;

  // Open cursors. While there are any, the round stays: SQLite may hold on to text that points into it until
  // the statement is done, and so longer than a row.
  int readers = 0;
};

int RegisterTables(sqlite3* db, const std::shared_ptr<Session>& session);

}  // namespace braid
