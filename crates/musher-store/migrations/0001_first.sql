-- The first schema.
--
-- A table a noun: the columns that it is found by, and `body`, the whole row as JSON. Ids are the 16 bytes of a UUIDv7,
-- times are UTC microseconds since 1970. The views at the end are for people: `SELECT * FROM items_v`.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE settings (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    body TEXT NOT NULL
) STRICT;

CREATE TABLE missions (
    id       BLOB PRIMARY KEY,
    archived INTEGER NOT NULL DEFAULT 0,
    state    TEXT NOT NULL,
    body     TEXT NOT NULL
) WITHOUT ROWID, STRICT;

-- What is loaded at start, however many missions are on file.
CREATE INDEX missions_active ON missions (id) WHERE archived = 0;

-- Items of a mission lie side by side, so that a mission is loaded in one go and a busy one keeps few pages dirty.
CREATE TABLE items (
    mission BLOB NOT NULL,
    id      BLOB NOT NULL,
    phase   TEXT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (mission, id)
) WITHOUT ROWID, STRICT;

CREATE INDEX items_by_id ON items (id);

CREATE TABLE runs (
    item  BLOB NOT NULL,
    id    BLOB NOT NULL,
    live  INTEGER NOT NULL,
    body  TEXT NOT NULL,
    PRIMARY KEY (item, id)
) WITHOUT ROWID, STRICT;

CREATE INDEX runs_by_id ON runs (id);
CREATE INDEX runs_live ON runs (id) WHERE live = 1;

CREATE TABLE agents (
    id   BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID, STRICT;

-- `n` is nothing but an order: of notes, the order in which they were given.
CREATE TABLE texts (
    n     INTEGER PRIMARY KEY,
    kind  TEXT NOT NULL,
    owner BLOB NOT NULL,
    note  BLOB NOT NULL DEFAULT x'',
    body  TEXT NOT NULL,
    UNIQUE (kind, owner, note)
) STRICT;

-- `n` is nothing but an order, the newest last.
CREATE TABLE gates (
    n     INTEGER PRIMARY KEY,
    tree  TEXT NOT NULL,
    gate  TEXT NOT NULL,
    green INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    tail  TEXT NOT NULL,
    UNIQUE (tree, gate)
) STRICT;

-- Append-only. `seq` is given by musher, from 1, without gaps.
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    actor   TEXT NOT NULL,
    mission BLOB,
    item    BLOB,
    agent   BLOB,
    run     BLOB,
    body    TEXT NOT NULL
) STRICT;

-- In the order of the log, so that a commit adds at the end of a mission and nowhere else; `item` is there so that the
-- history of one item is picked from the index alone.
CREATE INDEX events_by_mission ON events (mission, seq, item);

-- The outbox: open ones only, `n` is the order in which they were decided.
CREATE TABLE effects (
    id   BLOB PRIMARY KEY,
    n    INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE cursors (
    name TEXT PRIMARY KEY,
    seq  INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

CREATE VIEW missions_v AS
SELECT lower(hex(id)) AS id, state, archived, body ->> 'goal' AS goal, body ->> 'owner' AS owner,
       body ->> 'created_at' AS created_at, body ->> 'ended_at' AS ended_at
FROM missions;

CREATE VIEW items_v AS
SELECT lower(hex(id)) AS id, lower(hex(mission)) AS mission, body ->> 'key' AS key, phase, body ->> 'title' AS title,
       coalesce(body ->> 'attempts', 0) AS attempts, body ->> 'last_error' AS last_error, body ->> 'updated_at' AS updated_at
FROM items;

CREATE VIEW runs_v AS
SELECT lower(hex(id)) AS id, lower(hex(item)) AS item, body ->> 'agent' AS agent, body ->> 'state' AS state,
       coalesce(body ->> 'purpose', 'work') AS purpose, body ->> 'attempt' AS attempt, body ->> 'started_at' AS started_at,
       body ->> 'finished_at' AS finished_at, body -> 'outcome' AS outcome
FROM runs;

CREATE VIEW events_v AS
SELECT seq, strftime('%Y-%m-%dT%H:%M:%SZ', at / 1000000, 'unixepoch') AS at, kind, actor,
       lower(hex(mission)) AS mission, lower(hex(item)) AS item, lower(hex(agent)) AS agent, lower(hex(run)) AS run,
       body
FROM events;

CREATE VIEW effects_v AS
SELECT lower(hex(id)) AS id, n, kind, body ->> 'item' AS item, body ->> 'at' AS at, body -> 'kind' AS what
FROM effects;
