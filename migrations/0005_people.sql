-- What people did about alerts: attention beside the state, why an alert closed, what was thought of it.

ALTER TABLE alerts ADD COLUMN attention TEXT NOT NULL DEFAULT 'new' CHECK (attention IN ('new', 'acked', 'shelved'));
ALTER TABLE alerts ADD COLUMN acked_by TEXT;
ALTER TABLE alerts ADD COLUMN acked_at INTEGER;
ALTER TABLE alerts ADD COLUMN acked_until INTEGER;
ALTER TABLE alerts ADD COLUMN acked_severity TEXT;
ALTER TABLE alerts ADD COLUMN ack_end TEXT;
ALTER TABLE alerts ADD COLUMN shelved_by TEXT;
ALTER TABLE alerts ADD COLUMN shelved_until INTEGER;
ALTER TABLE alerts ADD COLUMN comment TEXT;
ALTER TABLE alerts ADD COLUMN close_reason TEXT;
ALTER TABLE alerts ADD COLUMN incident TEXT;
ALTER TABLE alerts ADD COLUMN feedback TEXT CHECK (feedback IN ('true', 'false', 'expected'));
ALTER TABLE alerts ADD COLUMN feedback_by TEXT;
ALTER TABLE alerts ADD COLUMN feedback_at INTEGER;

-- Of older alerts the reason is known where their sentence tells it.
UPDATE alerts SET close_reason = CASE
    WHEN reason LIKE '%; the new level has become usual' THEN 'learned'
    WHEN reason LIKE '%; back to usual values' THEN 'recovered'
    WHEN reason LIKE '%; closed because what was learned about the stream was lost' THEN 'stream_gone' END
WHERE state = 'closed';

CREATE INDEX alerts_attended ON alerts (number) WHERE attention <> 'new';
CREATE INDEX alerts_by_incident ON alerts (incident) WHERE incident IS NOT NULL;

-- Every step of every alert in the order in which they were stored; number never repeats, so that it is a cursor for whoever tells people.
ALTER TABLE alert_events RENAME TO alert_events_before;
CREATE TABLE alert_events (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id   TEXT    NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    seq        INTEGER,          -- batch and place in it; of what people did NULL
    ordinal    INTEGER,
    at         INTEGER NOT NULL, -- time of readings; of what people did wall time
    stored_at  INTEGER NOT NULL, -- wall time
    transition TEXT    NOT NULL,
    score      REAL,
    severity   TEXT,             -- as of then
    who        TEXT,
    note       TEXT,
    UNIQUE (alert_id, seq, ordinal)
) STRICT;
INSERT INTO alert_events (alert_id, seq, ordinal, at, stored_at, transition, score, severity)
    SELECT e.alert_id, e.seq, e.ordinal, e.at, a.stored_at, e.transition, e.score, a.severity
    FROM alert_events_before e JOIN alerts a ON a.id = e.alert_id ORDER BY e.seq, e.ordinal;
DROP TABLE alert_events_before;

CREATE TABLE silences (
    id         TEXT    PRIMARY KEY,
    form       TEXT    NOT NULL CHECK (form IN ('fixed', 'flexible', 'recurring', 'mute', 'shelf')),
    scope      TEXT    NOT NULL CHECK (json_valid(scope)),
    starts_at  INTEGER NOT NULL,
    ends_at    INTEGER,
    duration   INTEGER,
    calendar   TEXT,
    began_at   INTEGER,
    learns     INTEGER NOT NULL CHECK (learns IN (0, 1)),
    who        TEXT    NOT NULL,
    comment    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER,
    ended_by   TEXT
) STRICT, WITHOUT ROWID;

-- What streams were called before batch seq renamed them. Kept as far back as the journal.
CREATE TABLE stream_renames (
    seq       INTEGER NOT NULL,
    ordinal   INTEGER NOT NULL,
    stream_id INTEGER NOT NULL,
    key       TEXT    NOT NULL,
    PRIMARY KEY (seq, ordinal)
) STRICT, WITHOUT ROWID;
