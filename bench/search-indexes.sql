-- Live, while rows are written; those of src/store/search-indexes.ts.
CREATE INDEX ix_records_name ON records (name);
CREATE INDEX ix_tags_key_string ON tags (key, value) WHERE tag_type = 1;
CREATE INDEX ix_tags_key_number ON tags (key, ifnull(
  CAST(value AS REAL) * 134217729 - (CAST(value AS REAL) * 134217729 - CAST(value AS REAL)), CAST(value AS REAL)
)) WHERE tag_type IN (2, 3);
