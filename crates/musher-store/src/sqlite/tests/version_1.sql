-- A database of schema 1, as its version left it: never edited, opened by every later one.
PRAGMA page_size = 8192;
PRAGMA application_id = 1836413800;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE agents (
    id   BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID, STRICT;
INSERT INTO "agents" VALUES(X'019C1347D28070008000000000000001','agent-1','{"id":"019c1347-d280-7000-8000-000000000001","spec":{"name":"agent-1","driver":"","command":[],"roles":[],"capabilities":[],"model":null,"max_load":0,"env":[],"nickname":null,"limits":{"duration_secs":7200,"silence_secs":600,"cost_micro_usd":null,"tokens":null,"max_output_bytes":67108864}},"source":"config","paused":false,"draining":false,"removed":false,"created_at":"2026-01-31T09:00:00.000000Z","updated_at":"2026-01-31T09:00:00.000000Z"}');
INSERT INTO "agents" VALUES(X'019C1347D28070008000000000000002','agent-2','{"id":"019c1347-d280-7000-8000-000000000002","spec":{"name":"agent-2","driver":"","command":[],"roles":[],"capabilities":[],"model":null,"max_load":0,"env":[],"nickname":null,"limits":{"duration_secs":7200,"silence_secs":600,"cost_micro_usd":null,"tokens":null,"max_output_bytes":67108864}},"source":"config","paused":false,"draining":false,"removed":false,"created_at":"2026-01-31T09:00:00.000000Z","updated_at":"2026-01-31T09:00:00.000000Z"}');
CREATE TABLE cursors (
    name TEXT PRIMARY KEY,
    seq  INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
INSERT INTO "cursors" VALUES('triggers',3);
CREATE TABLE effects (
    id   BLOB PRIMARY KEY,
    n    INTEGER NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID, STRICT;
INSERT INTO "effects" VALUES(X'019C1347D28070008000000000000001',1,'start_run','{"id":"019c1347-d280-7000-8000-000000000001","item":"019c1347-d280-7000-8000-000000000001","kind":{"start_run":"019c1347-d280-7000-8000-000000000001"},"at":"2026-01-31T09:00:00.000000Z"}');
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
INSERT INTO "events" VALUES(1,1769850000000000,'mission_resumed','ann',X'019C1347D28070008000000000000001',NULL,NULL,NULL,'{}');
INSERT INTO "events" VALUES(2,1769850000000000,'item_assigned','ann',X'019C1347D28070008000000000000001',X'019C1347D28070008000000000000001',NULL,NULL,'{"attempt":1}');
INSERT INTO "events" VALUES(3,1769850000000000,'mission_resumed','ann',X'019C1347D28070008000000000000002',NULL,NULL,NULL,'{}');
INSERT INTO "events" VALUES(4,1769850000000000,'item_assigned','ann',X'019C1347D28070008000000000000002',X'019C1347D28070008000000000000002',NULL,NULL,'{"attempt":2}');
CREATE TABLE gates (
    n     INTEGER PRIMARY KEY,
    tree  TEXT NOT NULL,
    gate  TEXT NOT NULL,
    green INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    tail  TEXT NOT NULL,
    UNIQUE (tree, gate)
) STRICT;
INSERT INTO "gates" VALUES(1,'tree-1','make',0,1769850000000000,'é
');
INSERT INTO "gates" VALUES(2,'tree-2','make',1,1769850000000000,'é
');
CREATE TABLE items (
    mission BLOB NOT NULL,
    id      BLOB NOT NULL,
    phase   TEXT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (mission, id)
) WITHOUT ROWID, STRICT;
INSERT INTO "items" VALUES(X'019C1347D28070008000000000000001',X'019C1347D28070008000000000000001','ready','{"id":"019c1347-d280-7000-8000-000000000001","mission":"019c1347-d280-7000-8000-000000000001","key":"item-1","number":1,"title":"Grüße an 世界 🐑","kind":"implement","priority":"medium","state":"ready","attempts":0,"fence":0,"worktree":"none","merge_failures":0,"merge_tries":0,"resolver_runs":0,"empty_runs":[0,0],"usage":{"input_tokens":0,"output_tokens":0,"cost_micro_usd":0},"created_at":"2026-01-31T09:00:00.000000Z","updated_at":"2026-01-31T09:00:00.000000Z"}');
INSERT INTO "items" VALUES(X'019C1347D28070008000000000000002',X'019C1347D28070008000000000000002','ready','{"id":"019c1347-d280-7000-8000-000000000002","mission":"019c1347-d280-7000-8000-000000000002","key":"item-2","number":2,"title":"Grüße an 世界 🐑","kind":"implement","priority":"medium","state":"ready","attempts":0,"fence":0,"worktree":"none","merge_failures":0,"merge_tries":0,"resolver_runs":0,"empty_runs":[0,0],"usage":{"input_tokens":0,"output_tokens":0,"cost_micro_usd":0},"created_at":"2026-01-31T09:00:00.000000Z","updated_at":"2026-01-31T09:00:00.000000Z"}');
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID, STRICT;
INSERT INTO "meta" VALUES('schema_1_at','2026-01-31T09:00:00.000000Z');
CREATE TABLE missions (
    id       BLOB PRIMARY KEY,
    archived INTEGER NOT NULL DEFAULT 0,
    state    TEXT NOT NULL,
    body     TEXT NOT NULL
) WITHOUT ROWID, STRICT;
INSERT INTO "missions" VALUES(X'019C1347D28070008000000000000001',0,'running','{"id":"019c1347-d280-7000-8000-000000000001","goal":"goal 1","policy":{"max_parallel_items":2,"reviewer_required":true,"auto_merge":false,"watch_interval_secs":180,"max_retries":3,"budget_usd":null,"budget_tokens":null,"deadline":null},"state":"running","base":"main","delivery":"merge","owner":"ann","dispatcher":{"last_help_at":null,"last_help_reason":null,"help_attempts":0},"created_at":"2026-01-31T09:00:00.000000Z","updated_at":"2026-01-31T09:00:00.000000Z"}');
INSERT INTO "missions" VALUES(X'019C1347D28070008000000000000002',1,'running','{"id":"019c1347-d280-7000-8000-000000000002","goal":"goal 2","policy":{"max_parallel_items":2,"reviewer_required":true,"auto_merge":false,"watch_interval_secs":180,"max_retries":3,"budget_usd":null,"budget_tokens":null,"deadline":null},"state":"running","base":"main","delivery":"merge","owner":"ann","dispatcher":{"last_help_at":null,"last_help_reason":null,"help_attempts":0},"created_at":"2026-01-31T09:00:00.000000Z","updated_at":"2026-01-31T09:00:00.000000Z"}');
CREATE TABLE runs (
    item  BLOB NOT NULL,
    id    BLOB NOT NULL,
    live  INTEGER NOT NULL,
    body  TEXT NOT NULL,
    PRIMARY KEY (item, id)
) WITHOUT ROWID, STRICT;
INSERT INTO "runs" VALUES(X'019C1347D28070008000000000000001',X'019C1347D28070008000000000000001',1,'{"id":"019c1347-d280-7000-8000-000000000001","mission":"019c1347-d280-7000-8000-000000000001","item":"019c1347-d280-7000-8000-000000000001","agent":"019c1347-d280-7000-8000-000000000001","purpose":"work","fence":1,"attempt":1,"state":"running","assigned_at":"2026-01-31T09:00:00.000000Z","usage":{"input_tokens":0,"output_tokens":0,"cost_micro_usd":0}}');
INSERT INTO "runs" VALUES(X'019C1347D28070008000000000000002',X'019C1347D28070008000000000000002',0,'{"id":"019c1347-d280-7000-8000-000000000002","mission":"019c1347-d280-7000-8000-000000000002","item":"019c1347-d280-7000-8000-000000000002","agent":"019c1347-d280-7000-8000-000000000001","purpose":"work","fence":1,"attempt":1,"state":"finished","assigned_at":"2026-01-31T09:00:00.000000Z","finished_at":"2026-01-31T09:00:00.000000Z","usage":{"input_tokens":0,"output_tokens":0,"cost_micro_usd":0}}');
CREATE TABLE settings (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    body TEXT NOT NULL
) STRICT;
INSERT INTO "settings" VALUES(1,'{"base":null,"gate":null,"gate_timeout_secs":1800,"delivery":"merge","merge_style":"squash","push":false,"commit":"musher","qa":"server","max_file_size_bytes":10485760,"enforce_touches":false,"setup":null,"teardown":null,"copy":[],"keep":[],"min_free_bytes":2147483648,"done_retention_secs":14400,"retention_secs":7776000}');
CREATE TABLE texts (
    n     INTEGER PRIMARY KEY,
    kind  TEXT NOT NULL,
    owner BLOB NOT NULL,
    note  BLOB NOT NULL DEFAULT x'',
    body  TEXT NOT NULL,
    UNIQUE (kind, owner, note)
) STRICT;
INSERT INTO "texts" VALUES(1,'body',X'019C1347D28070008000000000000001',X'','the prompt');
INSERT INTO "texts" VALUES(2,'note',X'019C1347D28070008000000000000001',X'019C1347D28070008000000000000001','a note');
CREATE INDEX missions_active ON missions (id) WHERE archived = 0;
CREATE INDEX items_by_id ON items (id);
CREATE INDEX runs_by_id ON runs (id);
CREATE INDEX runs_live ON runs (id) WHERE live = 1;
CREATE INDEX events_by_mission ON events (mission, seq, item);
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
COMMIT;
