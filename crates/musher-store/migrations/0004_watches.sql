-- Pull requests, one an item, and watches: what lies outside and is followed. Those of archived missions stay on file.

CREATE TABLE pulls (
    item    BLOB PRIMARY KEY,
    mission BLOB NOT NULL,
    number  INTEGER,
    body    TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE INDEX pulls_by_mission ON pulls (mission, item);

CREATE TABLE watches (
    id      BLOB PRIMARY KEY,
    mission BLOB NOT NULL,
    kind    TEXT NOT NULL,
    status  TEXT NOT NULL,
    body    TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE INDEX watches_by_mission ON watches (mission, id);

CREATE VIEW pulls_v AS
SELECT lower(hex(item)) AS item, lower(hex(mission)) AS mission, number, body ->> 'url' AS url, body ->> 'pushed' AS head,
       coalesce(body ->> 'draft', 0) AS draft, coalesce(body -> 'state', '"open"') AS state, body -> 'looks' ->> 'error' AS error
FROM pulls;

CREATE VIEW watches_v AS
SELECT lower(hex(id)) AS id, lower(hex(mission)) AS mission, body ->> 'item' AS item, kind, status,
       coalesce(body ->> 'seen', 'nothing') AS seen, body ->> 'text' AS text, body ->> 'changed_at' AS changed_at
FROM watches;
