-- Schedules, also those that are gone, and their firings: the live ones, and the history.

CREATE TABLE schedules (
    id   BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE firings (
    id       BLOB PRIMARY KEY,
    schedule BLOB NOT NULL,
    live     INTEGER NOT NULL,
    body     TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE INDEX firings_by_schedule ON firings (schedule, id);

CREATE INDEX firings_live ON firings (id) WHERE live = 1;

CREATE VIEW schedules_v AS
SELECT name, body ->> 'due' AS due, body -> 'spec' ->> 'enabled' AS enabled, body ->> 'off' AS off, body ->> 'paused' AS paused,
       coalesce(body ->> 'failures', 0) AS failures, coalesce(body ->> 'removed', 0) AS removed
FROM schedules;

CREATE VIEW firings_v AS
SELECT lower(hex(f.id)) AS id, s.name AS schedule, f.body ->> 'due' AS due, f.body ->> 'state' AS state,
       f.body ->> 'fired_at' AS fired_at, f.body ->> 'finished_at' AS finished_at, f.body ->> 'text' AS text
FROM firings f LEFT JOIN schedules s ON s.id = f.schedule;
