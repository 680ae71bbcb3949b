-- A hub: what projects tell of themselves. `place` is the order in which events came, and is given by musher, not by SQLite:
-- no number is used twice, also when a project was forgotten.

CREATE TABLE hub_projects (
    id   BLOB PRIMARY KEY,
    body TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE hub_missions (
    project BLOB NOT NULL,
    id      BLOB NOT NULL,
    state   TEXT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (project, id)
) WITHOUT ROWID, STRICT;

CREATE TABLE hub_items (
    project BLOB NOT NULL,
    mission BLOB NOT NULL,
    id      BLOB NOT NULL,
    state   TEXT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (project, mission, id)
) WITHOUT ROWID, STRICT;

CREATE TABLE hub_events (
    place   INTEGER PRIMARY KEY,
    project BLOB NOT NULL,
    seq     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    actor   TEXT NOT NULL,
    mission BLOB,
    item    BLOB,
    body    TEXT NOT NULL
) STRICT;

-- An event of a project that came twice would be a defect; here it would be refused.
CREATE UNIQUE INDEX hub_events_by_project ON hub_events (project, seq);

CREATE VIEW hub_projects_v AS
SELECT lower(hex(id)) AS id, body ->> 'name' AS name, body -> 'mark' ->> 'history' AS history,
       body -> 'mark' -> 'last' ->> 'seq' AS last_seq, body ->> 'events' AS events, body ->> 'heard_at' AS heard_at
FROM hub_projects;

CREATE VIEW hub_events_v AS
SELECT e.place, p.body ->> 'name' AS project, e.seq, strftime('%Y-%m-%dT%H:%M:%SZ', e.at / 1000000, 'unixepoch') AS at,
       e.kind, e.actor, lower(hex(e.mission)) AS mission, lower(hex(e.item)) AS item, e.body
FROM hub_events e LEFT JOIN hub_projects p ON p.id = e.project;
