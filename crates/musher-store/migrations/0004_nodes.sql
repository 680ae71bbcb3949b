-- Nodes: machines that agents' programs work on, and when each was heard last.

CREATE TABLE nodes (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE VIEW nodes_v AS
SELECT name, body ->> 'heard_at' AS heard_at, coalesce(body ->> 'silent', 0) AS silent
FROM nodes;
