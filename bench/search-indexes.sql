-- Live, while rows are written.
CREATE INDEX ix_records_name ON records (name);
CREATE INDEX ix_tags_key_value ON tags (key, value);
