-- Who may write. A file is one workspace, and has one row: the last one that took the lease, with its fence.

CREATE TABLE leases (
    name    TEXT    PRIMARY KEY,
    epoch   INTEGER NOT NULL,   -- the fence: one more each time that somebody takes the lease
    node    TEXT    NOT NULL,   -- the machine
    boot    TEXT    NOT NULL,   -- and which start of it
    pid     INTEGER NOT NULL,   -- the process
    started INTEGER NOT NULL,   -- and when it began, as the system counts
    since   TEXT    NOT NULL,
    renewed INTEGER NOT NULL,   -- microseconds of the machine's monotonic clock
    renews  INTEGER NOT NULL    -- whether the holder renews it by itself: work is under way
) STRICT;
