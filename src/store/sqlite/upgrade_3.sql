-- From version 2: what may have been sent is looked for, and what joins a lead is told to CareSoft.
ALTER TABLE records ADD COLUMN sent_at INTEGER;
ALTER TABLE records ADD COLUMN looks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE records ADD COLUMN resent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE records ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
DROP INDEX leased;
CREATE INDEX leased ON records (deadline, destination, received_at, state)
    WHERE deadline IS NOT NULL;
CREATE INDEX chores ON records (destination, state, due, received_at, deadline)
    WHERE state > 1 AND deadline IS NULL AND due IS NOT NULL;
UPDATE records SET due = received_at WHERE state = 2;
