-- The merge queue beyond the items' own rows: the batch under way. One row.

CREATE TABLE merge_queue (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    body TEXT NOT NULL
) STRICT;

-- What was being merged one at a time goes on: what was only being made or judged is made anew in a batch, and what was
-- being landed is a batch of one that is being landed.
INSERT INTO merge_queue (one, body)
SELECT 1, json_object('batch', json_object(
           'number', 1, 'target', '', 'at', body -> '$.updated_at',
           'base', json_object('commit', body ->> '$.state.merging.landing.base', 'tree', ''),
           'members', json_array(json_object('item', body ->> '$.id', 'link', json_object(
               'commit', body ->> '$.state.merging.landing.commit', 'tree', body ->> '$.state.merging.landing.tree'))),
           'tried', json_array(json('{}'), json('{"green":true}')), 'landing', 1), 'batches', 1, 'flaky', 0)
FROM items WHERE phase = 'merging' AND body -> '$.state.merging.landing' IS NOT NULL LIMIT 1;

DELETE FROM effects
WHERE kind = 'prepare_merge' OR (kind = 'gate' AND body -> '$.kind.gate.on.merge' IS NOT NULL);

UPDATE items SET body = json_set(body, '$.state', json('{"merging":"queued"}'))
WHERE phase = 'merging'
  AND (body ->> '$.state.merging' = 'preparing' OR body -> '$.state.merging.gating' IS NOT NULL);
