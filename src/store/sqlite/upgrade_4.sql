-- From version 3: a submission keeps the trace of the post that it came with; lists come from indexes.
ALTER TABLE records ADD COLUMN trace BLOB;
DROP INDEX uncommon;
CREATE INDEX listed ON records (destination, source, state);
CREATE TABLE zones (
    zone     INTEGER PRIMARY KEY,
    earliest INTEGER NOT NULL,
    latest   INTEGER NOT NULL
) STRICT;
INSERT INTO zones SELECT seq / 1024, min(received_at), max(received_at) FROM records GROUP BY seq / 1024;
