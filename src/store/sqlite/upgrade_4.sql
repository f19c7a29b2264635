-- From version 3: a submission keeps the trace of the post that it came with.
ALTER TABLE records ADD COLUMN trace BLOB;
