-- Recurrent models. A version never changes; which one counts is the newest activation of its name.

CREATE TABLE models (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    version      INTEGER NOT NULL CHECK (version > 0),
    sha256       TEXT    NOT NULL CHECK (length(sha256) = 64),
    created_at   INTEGER NOT NULL,
    origin       TEXT    NOT NULL,
    format       TEXT    NOT NULL CHECK (format IN ('safetensors', 'onnx')),
    architecture TEXT    NOT NULL,
    parameters   INTEGER NOT NULL CHECK (parameters >= 0),
    payload      BLOB    NOT NULL,
    UNIQUE (name, version)
) STRICT;

CREATE TABLE model_activations (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL,
    model_id     INTEGER NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    activated_at INTEGER NOT NULL
) STRICT;

CREATE INDEX model_activations_by_name ON model_activations (name, id);
