-- Times are nanoseconds since 1970 (UTC). Payloads are described in ARCHITECTURE.md, "Formats on disk".

CREATE TABLE streams (
    id         INTEGER PRIMARY KEY CHECK (id > 0),
    key        TEXT    NOT NULL UNIQUE CHECK (length(key) > 0),
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE channels (
    stream_id INTEGER NOT NULL REFERENCES streams (id) ON DELETE CASCADE,
    idx       INTEGER NOT NULL CHECK (idx >= 0),
    name      TEXT    NOT NULL CHECK (length(name) > 0),
    PRIMARY KEY (stream_id, idx),
    UNIQUE (stream_id, name)
) STRICT, WITHOUT ROWID;

-- Accepted readings since the older checkpoint of every block, in order, one row a commit; seq is that of its last batch.
CREATE TABLE journal (
    seq         INTEGER PRIMARY KEY CHECK (seq > 0),
    first_seq   INTEGER NOT NULL CHECK (first_seq > 0 AND first_seq <= seq),
    received_at INTEGER NOT NULL,
    readings    INTEGER NOT NULL CHECK (readings >= 0),
    checksum    INTEGER NOT NULL,
    payload     BLOB    NOT NULL
) STRICT;

-- Learned state of blocks of neighbouring streams; two generations (slots) of each block.
CREATE TABLE checkpoints (
    block      INTEGER NOT NULL CHECK (block >= 0),
    slot       INTEGER NOT NULL CHECK (slot IN (0, 1)),
    seq        INTEGER NOT NULL CHECK (seq >= 0),
    written_at INTEGER NOT NULL,
    layout     INTEGER NOT NULL,
    streams    INTEGER NOT NULL CHECK (streams >= 0),
    checksum   INTEGER NOT NULL,
    payload    BLOB    NOT NULL,
    PRIMARY KEY (block, slot)
) STRICT;

-- Blocks that could not be read; kept for inspection, their streams learn anew.
CREATE TABLE quarantine (
    id       INTEGER PRIMARY KEY,
    found_at INTEGER NOT NULL,
    what     TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    payload  BLOB    NOT NULL
) STRICT;

CREATE TABLE alerts (
    number        INTEGER PRIMARY KEY,
    id            TEXT    NOT NULL UNIQUE,
    stream_id     INTEGER NOT NULL,
    stream        TEXT    NOT NULL,
    channels      TEXT    NOT NULL CHECK (json_valid(channels)),
    kind          TEXT    NOT NULL,
    severity      TEXT    NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    state         TEXT    NOT NULL CHECK (state IN ('open', 'closed')),
    opened_at     INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL CHECK (updated_at >= opened_at),
    closed_at     INTEGER,
    stored_at     INTEGER NOT NULL, -- wall time of the newest step; the others are times of readings
    initial_score REAL,
    peak_score    REAL,
    threshold     REAL,
    observed      REAL,
    expected      REAL,
    band_low      REAL,
    band_high     REAL,
    reason        TEXT    NOT NULL,
    contributions TEXT    NOT NULL CHECK (json_valid(contributions)),
    evidence      TEXT    NOT NULL CHECK (json_valid(evidence)),
    context       TEXT    NOT NULL CHECK (json_valid(context)),
    CHECK ((state = 'closed') = (closed_at IS NOT NULL))
) STRICT;

CREATE INDEX alerts_by_time ON alerts (opened_at);
CREATE INDEX alerts_by_stream ON alerts (stream_id, opened_at);
CREATE INDEX alerts_open ON alerts (number) WHERE state = 'open';

CREATE TABLE alert_events (
    alert_id   TEXT    NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    seq        INTEGER NOT NULL,
    ordinal    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    transition TEXT    NOT NULL CHECK (transition IN ('opened', 'updated', 'closed')),
    score      REAL,
    PRIMARY KEY (alert_id, seq, ordinal)
) STRICT, WITHOUT ROWID;

-- Totals and clocks of the ingest side, as of the newest journal row.
CREATE TABLE totals (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The last acknowledged sequence of every client that numbers its lines.
CREATE TABLE producers (
    name       TEXT    PRIMARY KEY,
    sequence   INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
