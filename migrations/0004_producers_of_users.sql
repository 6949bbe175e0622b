-- Names of clients that number their lines belong to users (uid): another user's client of the same name is another one.
-- uid -1: from before; the first user who greets with the name takes it over.

CREATE TABLE producers_of_users (
    uid        INTEGER NOT NULL CHECK (uid >= -1),
    name       TEXT    NOT NULL,
    sequence   INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    checksum   INTEGER, -- CRC-32C of the lines up to sequence; NULL: not known
    PRIMARY KEY (uid, name)
) STRICT, WITHOUT ROWID;

INSERT INTO producers_of_users (uid, name, sequence, updated_at) SELECT -1, name, sequence, updated_at FROM producers;
DROP TABLE producers;
ALTER TABLE producers_of_users RENAME TO producers;
