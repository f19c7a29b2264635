-- Version 5. Times are milliseconds since 1970 (UTC); hashes are 16 bytes (see
-- store/identity.rs); what is closed is compressed and, with a secret, sealed (store/payload/).

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

-- One row is one submission, and the only one that accepting it writes: claims, carriers and
-- destinations are made from it. Small columns come first, so that most reads stay off the
-- overflow pages of long ones.
CREATE TABLE records (
    seq                INTEGER PRIMARY KEY, -- in the order of acceptance; a list's cursor
    id                 BLOB NOT NULL UNIQUE,
    state              INTEGER NOT NULL,    -- codes: columns.rs
    began              INTEGER NOT NULL,    -- the state it was accepted in: the first event
    source             TEXT NOT NULL,
    destination        TEXT NOT NULL,
    received_at        INTEGER NOT NULL,
    later              INTEGER NOT NULL DEFAULT 0, -- 1: a retry or a replay, waits behind fresh
                                            -- ones; 2: a notice, whose lead is to be fetched
    place              INTEGER NOT NULL,    -- its place in the queue of its class
    due                INTEGER,             -- not before; NULL: now
    deadline           INTEGER,             -- of the lease; NULL: not leased
    fence              INTEGER NOT NULL DEFAULT 0,
    attempts           INTEGER NOT NULL DEFAULT 0,
    sent_at            INTEGER,             -- its lead was not made before this
    looks              INTEGER NOT NULL DEFAULT 0, -- how often that was looked for in vain
    resent             INTEGER NOT NULL DEFAULT 0, -- how often it was sent again after that
    told               INTEGER NOT NULL DEFAULT 0, -- of a merged one: chores.rs
    settled_at         INTEGER,
    identities         BLOB,                -- hashes of the person, phone first, end to end
    claimed            INTEGER NOT NULL DEFAULT 0, -- bit n: brought the claim on the n-th of them
    claimed_until      INTEGER,
    delivery           BLOB,                -- hash of the idempotency key
    delivery_until     INTEGER,             -- how long it is remembered
    duplicate_of       BLOB,                -- id of the submission that carries the lead
    upstream_lead      INTEGER,
    upstream_requester INTEGER,
    external           BLOB,                -- hash of the platform's own id
    trace              BLOB,                -- id of its trace
    content            BLOB,                -- digest of the lead; NULL: there is none
    reason             TEXT,
    events             TEXT,                -- the history but for its first event
    payload            BLOB,                -- lead and the platform's own id, closed
    raw                BLOB                 -- the body as it came, closed
) STRICT;

-- The queue. A pending record is in exactly one of these three. The columns of their conditions
-- are in them too (a byte each), or counting what waits would visit every row.
CREATE INDEX ready ON records (destination, later, place, received_at, state, deadline, due)
    WHERE state = 0 AND deadline IS NULL AND due IS NULL;
CREATE INDEX waiting ON records (destination, later, due, received_at, state, deadline)
    WHERE state = 0 AND deadline IS NULL AND due IS NOT NULL;
CREATE INDEX leased ON records (deadline, destination, received_at, state)
    WHERE deadline IS NOT NULL;

-- What else a lane has to do: unknown records are looked for, merged ones told to CareSoft.
CREATE INDEX chores ON records (destination, state, due, received_at, deadline)
    WHERE state > 1 AND deadline IS NULL AND due IS NOT NULL;

-- What people look for, newest first (an index ends with `seq`): list.rs puts together what it
-- finds by destination, source and state.
CREATE INDEX settled ON records (state, settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX listed ON records (destination, source, state);
CREATE INDEX duplicates ON records (duplicate_of) WHERE duplicate_of IS NOT NULL;
CREATE INDEX upstream ON records (upstream_lead) WHERE upstream_lead IS NOT NULL;
CREATE INDEX external ON records (external) WHERE external IS NOT NULL;

-- When the records of each thousand numbers came (zones.rs).
CREATE TABLE zones (
    zone     INTEGER PRIMARY KEY, -- seq / 1024
    earliest INTEGER NOT NULL,
    latest   INTEGER NOT NULL
) STRICT;

-- Who holds a phone, an e-mail or an idempotency key, in runs: each was written once, in order.
-- Follows `records` at a distance; run 0 takes what is written out of turn (claims.rs, runs.rs).
CREATE TABLE claims (
    run   INTEGER NOT NULL,
    hash  BLOB NOT NULL,
    lead  BLOB NOT NULL,     -- id of the submission
    until INTEGER NOT NULL,
    PRIMARY KEY (run, hash)
) STRICT, WITHOUT ROWID;

-- Which records carry an identity, in the same runs: to search for a person and to erase one.
CREATE TABLE carriers (
    run  INTEGER NOT NULL,
    hash BLOB NOT NULL,
    seq  INTEGER NOT NULL,
    PRIMARY KEY (run, hash, seq)
) STRICT, WITHOUT ROWID;

-- The runs that are complete. Rows of `records` above the newest are in none yet.
CREATE TABLE runs (
    run    INTEGER PRIMARY KEY, -- the newest record in it
    until  INTEGER NOT NULL,    -- when the last of its claims ends
    filter BLOB                 -- tells quickly what is not in it; NULL: its claims are swept
) STRICT;

-- Every destination a submission was ever for: a person is known to each by another hash.
CREATE TABLE destinations (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- When whoever was forgotten was: what was received until then and is fetched later does not bring them
-- back (forgotten.rs).
CREATE TABLE forgotten (
    hash BLOB PRIMARY KEY,    -- of a phone or an e-mail, the same for every destination
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX forgettings ON forgotten (at);

-- How each lane's gate stands, in delivery's own words, and how often it has changed: silence that
-- CareSoft asked for outlasts a restart.
CREATE TABLE lanes (
    name    TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    gate    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Invariant 5. Moves in the transaction that moves a record.
CREATE TABLE ledger (
    source      TEXT PRIMARY KEY,
    accepted    INTEGER NOT NULL,
    pending     INTEGER NOT NULL,
    unknown     INTEGER NOT NULL,
    created     INTEGER NOT NULL,
    merged      INTEGER NOT NULL,
    dead        INTEGER NOT NULL,
    quarantined INTEGER NOT NULL,
    test        INTEGER NOT NULL,
    erased      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What waits for Redis, in order (store/spool.rs); another file than the ledger's.
CREATE TABLE spool (
    seq   INTEGER PRIMARY KEY AUTOINCREMENT, -- a number is given once
    entry BLOB NOT NULL,
    aside INTEGER NOT NULL DEFAULT 0         -- 1: could not be read
) STRICT;
