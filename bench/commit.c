/*
 * The rows that a program in C writes: commit TABLES SEARCH MODE DIRECTORY RECORDS
 *
 * TABLES and SEARCH are files of SQL: Braid-DB's tables with their indexes, and the search indexes. MODE is
 *
 * - rows: prepared statements, a row each, one transaction a batch, into Braid-DB's tables with live indexes
 * - rows-search: the same with the search indexes, too
 * - attach: the rows are in a database of their own already, and copied by INSERT … SELECT, a batch at a time
 *
 * The texts are made before the clock starts. It stops when the database is closed, and all is in one file: prints
 * records a second.
 */
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 100000, CONFIGURATIONS = 5, TEXT_BYTES = 48 };

/* What a record is given, as bench/records.ts has it. */
struct made {
  int source;
  char name[TEXT_BYTES];
  char uri[TEXT_BYTES];
  char frames[TEXT_BYTES];
};

static const char *const STATEMENTS[] = {
    "INSERT INTO records (record_id, name, time) VALUES (?, ?, ?)",
    "INSERT INTO uris (record_id, uri) VALUES (?, ?)",
    "INSERT INTO tags (record_id, key, value, tag_type) VALUES (?, ?, ?, ?)",
    "INSERT INTO derivations (record_id, derivation, time) VALUES (?, ?, ?)",
};
enum { RECORD, URI, TAG, DERIVATION, STATEMENT_COUNT };

static void fail(sqlite3 *db, const char *what) {
  fprintf(stderr, "commit: %s: %s\n", what, db ? sqlite3_errmsg(db) : "not to be had");
  exit(1);
}

static void execute(sqlite3 *db, const char *sql) {
  if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) fail(db, sql);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void execute_file(sqlite3 *db, const char *path) {
  char sql[4096];
  FILE *file = fopen(path, "r");
  if (!file) fail(NULL, path);
  const size_t bytes = fread(sql, 1, sizeof sql - 1, file);
  if (!feof(file)) fail(NULL, "a file of SQL is too long");
  fclose(file);
  sql[bytes] = '\0';
  execute(db, sql);
}

static sqlite3 *open_database(const char *directory, const char *name, const char *tables) {
  char path[4096];
  sqlite3 *db = NULL;
  if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path) fail(NULL, "the path is too long");
  if (sqlite3_open(path, &db) != SQLITE_OK) fail(db, path);
  execute(db,
          "PRAGMA foreign_keys = OFF; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
          "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536");
  execute_file(db, tables);
  return db;
}

static void make(struct made *made, long count) {
  uint32_t state = 1;
  for (long i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    made[i].source = 1 + (int)((state >> 8) % CONFIGURATIONS);
    snprintf(made[i].name, TEXT_BYTES, "experiment-%ld", i);
    snprintf(made[i].uri, TEXT_BYTES, "login.host.gov/home/user1/file%ld.txt", i);
    snprintf(made[i].frames, TEXT_BYTES, "%ld", 1800 + i);
  }
}

static void bind_text(sqlite3_stmt *statement, int index, const char *text) {
  sqlite3_bind_text(statement, index, text, (int)strlen(text), SQLITE_STATIC);
}

static void step(sqlite3 *db, sqlite3_stmt *statement) {
  if (sqlite3_step(statement) != SQLITE_DONE) fail(db, sqlite3_sql(statement));
  sqlite3_reset(statement);
}

static void add_tag(sqlite3 *db, sqlite3_stmt *statement, sqlite3_int64 record, const char *key, const char *value,
                    int type) {
  sqlite3_bind_int64(statement, 1, record);
  bind_text(statement, 2, key);
  bind_text(statement, 3, value);
  sqlite3_bind_int(statement, 4, type);
  step(db, statement);
}

static void insert_rows(sqlite3 *db, const struct made *made, long count) {
  static const char TIME[] = "2026-01-01 00:00:00.000000";
  sqlite3_stmt *statements[STATEMENT_COUNT];
  for (int i = 0; i < STATEMENT_COUNT; i++) {
    if (sqlite3_prepare_v2(db, STATEMENTS[i], -1, &statements[i], NULL) != SQLITE_OK) fail(db, STATEMENTS[i]);
  }
  for (long first = 0; first < count; first += BATCH) {
    execute(db, "BEGIN IMMEDIATE");
    for (long i = first; i < count && i < first + BATCH; i++) {
      /* As ours are: given out before, above the sources. */
      const sqlite3_int64 id = CONFIGURATIONS + 1 + i;
      sqlite3_bind_int64(statements[RECORD], 1, id);
      bind_text(statements[RECORD], 2, made[i].name);
      bind_text(statements[RECORD], 3, TIME);
      step(db, statements[RECORD]);
      sqlite3_bind_int64(statements[URI], 1, id);
      bind_text(statements[URI], 2, made[i].uri);
      step(db, statements[URI]);
      add_tag(db, statements[TAG], id, "frames", made[i].frames, 2);
      add_tag(db, statements[TAG], id, "energy", "12.5", 3);
      sqlite3_bind_int64(statements[DERIVATION], 1, made[i].source);
      sqlite3_bind_int64(statements[DERIVATION], 2, id);
      bind_text(statements[DERIVATION], 3, TIME);
      step(db, statements[DERIVATION]);
    }
    execute(db, "COMMIT");
  }
  for (int i = 0; i < STATEMENT_COUNT; i++) sqlite3_finalize(statements[i]);
}

/* By rowids, the fastest way to read them: they count from 1, one URI and two tags a record. */
static void copy(sqlite3 *db, long count) {
  for (long first = CONFIGURATIONS + 1; first <= CONFIGURATIONS + count; first += BATCH) {
    char sql[1024];
    const long last = first + BATCH - 1;
    const long before = first - CONFIGURATIONS - 1, through = last - CONFIGURATIONS;
    snprintf(sql, sizeof sql,
             "BEGIN IMMEDIATE;"
             "INSERT INTO main.records SELECT * FROM theirs.records WHERE record_id BETWEEN %ld AND %ld;"
             "INSERT INTO main.uris (record_id, uri) SELECT record_id, uri FROM theirs.uris"
             "  WHERE id BETWEEN %ld AND %ld;"
             "INSERT INTO main.tags (record_id, key, value, tag_type) SELECT record_id, key, value, tag_type"
             "  FROM theirs.tags WHERE id BETWEEN %ld AND %ld;"
             "INSERT INTO main.derivations SELECT * FROM theirs.derivations WHERE derivation BETWEEN %ld AND %ld;"
             "COMMIT",
             first, last, before + 1, through, 2 * before + 1, 2 * through, first, last);
    execute(db, sql);
  }
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "Usage: commit TABLES SEARCH rows|rows-search|attach DIRECTORY RECORDS\n");
    return 2;
  }
  const char *tables = argv[1], *mode = argv[3], *directory = argv[4];
  const long count = atol(argv[5]);
  const int attach = strcmp(mode, "attach") == 0;
  struct made *made = malloc((size_t)count * sizeof *made);
  if (!made) fail(NULL, "texts");
  make(made, count);

  if (attach) {
    sqlite3 *theirs = open_database(directory, "theirs.db", tables);
    insert_rows(theirs, made, count);
    sqlite3_close(theirs);
  }
  sqlite3 *db = open_database(directory, "rows.db", tables);
  if (strcmp(mode, "rows-search") == 0) execute_file(db, argv[2]);
  if (attach) {
    char sql[4200];
    snprintf(sql, sizeof sql, "ATTACH '%s/theirs.db' AS theirs", directory);
    execute(db, sql);
  }
  const double started = now();
  if (attach) {
    copy(db, count);
  } else {
    insert_rows(db, made, count);
  }
  if (sqlite3_close(db) != SQLITE_OK) fail(db, "closing");
  printf("%.1f\n", (double)count / (now() - started));
  free(made);
  return 0;
}
