-- Webhooks of the forge that were taken: one that comes again is known.

CREATE TABLE webhooks (
    n        INTEGER PRIMARY KEY,
    delivery TEXT NOT NULL UNIQUE,
    heard_at INTEGER NOT NULL
) STRICT;

CREATE VIEW webhooks_v AS
SELECT delivery, strftime('%Y-%m-%dT%H:%M:%SZ', heard_at / 1000000, 'unixepoch') AS heard_at
FROM webhooks ORDER BY n DESC;
