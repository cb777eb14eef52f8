-- Braid-DB's tables, with an index for each way that lineage is followed.
CREATE TABLE records (
  record_id INTEGER NOT NULL PRIMARY KEY,
  name VARCHAR NOT NULL,
  time DATETIME NOT NULL,
  invalidation_id CHAR(32),
  invalidation_action_id CHAR(32)
);
CREATE TABLE derivations (
  record_id INTEGER NOT NULL REFERENCES records,
  derivation INTEGER NOT NULL REFERENCES records,
  time DATETIME NOT NULL,
  PRIMARY KEY (record_id, derivation)
);
CREATE TABLE uris (
  id INTEGER NOT NULL PRIMARY KEY,
  record_id INTEGER NOT NULL REFERENCES records,
  uri VARCHAR NOT NULL
);
CREATE TABLE tags (
  id INTEGER NOT NULL PRIMARY KEY,
  record_id INTEGER NOT NULL REFERENCES records,
  key VARCHAR NOT NULL,
  value VARCHAR NOT NULL,
  tag_type INTEGER NOT NULL
);
CREATE INDEX ix_uris_record_id ON uris (record_id);
CREATE INDEX ix_tags_record_id ON tags (record_id);
CREATE INDEX ix_derivations_derivation ON derivations (derivation);
