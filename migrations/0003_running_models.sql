-- Which trained models run: as each shard was told in its batch seq. Kept as far back as the journal.

CREATE TABLE model_rosters (
    seq         INTEGER PRIMARY KEY CHECK (seq > 0),
    shard       INTEGER NOT NULL CHECK (shard >= 0),
    shards      INTEGER NOT NULL CHECK (shards > shard),
    assignments BLOB    NOT NULL
) STRICT;

-- What explains an alert, worked out while its readings were still in the journal.

CREATE TABLE explanations (
    alert_id TEXT    PRIMARY KEY REFERENCES alerts (id) ON DELETE CASCADE,
    made_at  INTEGER NOT NULL,
    content  TEXT    NOT NULL CHECK (json_valid(content))
) STRICT;

CREATE INDEX explanations_by_time ON explanations (made_at);
