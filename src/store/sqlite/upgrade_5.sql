-- From version 4: it is known for a while who was forgotten, and when.
CREATE TABLE forgotten (
    hash BLOB PRIMARY KEY,
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX forgettings ON forgotten (at);
