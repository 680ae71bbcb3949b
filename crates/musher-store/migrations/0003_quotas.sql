-- What is used of quotas, and what operators have set: a row a scope. What was used is added up from the events, of
-- which those that say it have an index of their own.

CREATE TABLE quotas (
    scope TEXT PRIMARY KEY,
    body  TEXT NOT NULL
) WITHOUT ROWID, STRICT;

CREATE INDEX events_usage ON events (at) WHERE kind = 'usage_recorded';

CREATE VIEW quotas_v AS
SELECT scope, coalesce(body ->> 'tokens', 0) AS tokens, coalesce(body ->> 'jobs', 0) AS jobs,
       coalesce(body ->> 'cost_micro_usd', 0) / 1e6 AS usd, body ->> 'day_ends' AS day_ends, body -> 'set' AS set_by_operator
FROM quotas;
