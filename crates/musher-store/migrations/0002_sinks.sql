-- Sinks: who is sent events. How far each has come is its cursor, `sink:NAME`; here is what is wrong with it, if anything.

CREATE TABLE sinks (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE VIEW sinks_v AS
SELECT s.name, s.body ->> 'kind' AS kind, c.seq AS cursor, s.body -> 'trouble' ->> 'since' AS failing_since,
       s.body -> 'trouble' ->> 'event' AS event, s.body -> 'trouble' ->> 'error' AS error,
       s.body ->> 'removed_at' AS removed_at
FROM sinks s LEFT JOIN cursors c ON c.name = 'sink:' || s.name;
