-- Triggers, also those that are gone. Firings are of schedules and of triggers now. What an event tells of a change of
-- state, and which triggers led to it.

CREATE TABLE triggers (
    id   BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID, STRICT;

DROP VIEW firings_v;

ALTER TABLE firings RENAME COLUMN schedule TO owner;

ALTER TABLE events ADD COLUMN from_state TEXT;

ALTER TABLE events ADD COLUMN to_state TEXT;

ALTER TABLE events ADD COLUMN chain TEXT;

CREATE VIEW firings_v AS
SELECT lower(hex(f.id)) AS id, s.name AS schedule, t.name AS trigger, f.body ->> 'due' AS due, f.body ->> 'state' AS state,
       f.body -> 'cause' ->> 'event' AS event, f.body ->> 'fired_at' AS fired_at, f.body ->> 'finished_at' AS finished_at,
       f.body ->> 'text' AS text
FROM firings f LEFT JOIN schedules s ON s.id = f.owner LEFT JOIN triggers t ON t.id = f.owner;

CREATE VIEW triggers_v AS
SELECT name, coalesce(body ->> 'fires', 0) AS fires, body ->> 'seen' AS seen, body -> 'spec' ->> 'enabled' AS enabled,
       body ->> 'off' AS off, body ->> 'over' AS over, body ->> 'paused' AS paused,
       coalesce(body ->> 'failures', 0) AS failures, coalesce(body ->> 'removed', 0) AS removed
FROM triggers;

DROP VIEW events_v;

CREATE VIEW events_v AS
SELECT seq, strftime('%Y-%m-%dT%H:%M:%SZ', at / 1000000, 'unixepoch') AS at, kind, actor,
       lower(hex(mission)) AS mission, lower(hex(item)) AS item, lower(hex(agent)) AS agent, lower(hex(run)) AS run,
       from_state, to_state, chain, body
FROM events;
