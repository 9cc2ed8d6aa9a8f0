import type { DatabaseSync } from 'node:sqlite'

/**
 * `place` is where an entry stands in the order: its own id, or that of the entry that it took over. `rank` is its severity's.
 * `tally` counts rows by channel, so that nobody scans a long queue to know its length.
 */
const FIRST = `
CREATE TABLE message (
  id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, parts TEXT NOT NULL, sent INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL, digest INTEGER NOT NULL
) STRICT;
CREATE INDEX message_channel ON message (channel);

CREATE TABLE entry (
  id INTEGER PRIMARY KEY AUTOINCREMENT, place INTEGER NOT NULL, notification INTEGER NOT NULL,
  route TEXT NOT NULL, channel TEXT NOT NULL, fingerprint TEXT NOT NULL, firing INTEGER NOT NULL, rank INTEGER NOT NULL,
  message INTEGER REFERENCES message (id), received_at INTEGER NOT NULL, untold INTEGER NOT NULL, fallback_for TEXT,
  alert TEXT NOT NULL, context TEXT NOT NULL
) STRICT;
CREATE INDEX entry_place ON entry (channel, place);
CREATE INDEX entry_fingerprint ON entry (channel, fingerprint, place);
CREATE INDEX entry_rank ON entry (channel, rank, place) WHERE message IS NULL;
CREATE INDEX entry_notification ON entry (channel, notification) WHERE message IS NULL;
CREATE INDEX entry_message ON entry (message) WHERE message IS NOT NULL;

CREATE TABLE dead (
  id INTEGER PRIMARY KEY, notification INTEGER NOT NULL, route TEXT NOT NULL, channel TEXT NOT NULL, fingerprint TEXT NOT NULL,
  firing INTEGER NOT NULL, rank INTEGER NOT NULL, received_at INTEGER NOT NULL, untold INTEGER NOT NULL, fallback_for TEXT,
  alert TEXT NOT NULL, context TEXT NOT NULL,
  reason TEXT NOT NULL, detail TEXT NOT NULL, died_at INTEGER NOT NULL, handed_to TEXT
) STRICT;
CREATE INDEX dead_channel ON dead (channel, id);
CREATE INDEX dead_died ON dead (died_at, id);

CREATE TABLE state (
  route TEXT NOT NULL, fingerprint TEXT NOT NULL, firing INTEGER NOT NULL, reminder INTEGER NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (route, fingerprint)
) STRICT;
CREATE INDEX state_at ON state (at);

CREATE TABLE send (robot TEXT NOT NULL, at INTEGER NOT NULL, expires_at INTEGER NOT NULL) STRICT;
CREATE INDEX send_robot ON send (robot, at);
CREATE INDEX send_expires ON send (expires_at);
CREATE TABLE pause (robot TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT;

CREATE TABLE tally (channel TEXT PRIMARY KEY, waiting INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TRIGGER entry_added AFTER INSERT ON entry BEGIN
  INSERT INTO tally (channel, waiting) VALUES (new.channel, 1) ON CONFLICT DO UPDATE SET waiting = waiting + 1;
END;
CREATE TRIGGER entry_removed AFTER DELETE ON entry BEGIN UPDATE tally SET waiting = waiting - 1 WHERE channel = old.channel; END;
CREATE TRIGGER dead_added AFTER INSERT ON dead BEGIN
  INSERT INTO tally (channel, dead) VALUES (new.channel, 1) ON CONFLICT DO UPDATE SET dead = dead + 1;
END;
CREATE TRIGGER dead_removed AFTER DELETE ON dead BEGIN UPDATE tally SET dead = dead - 1 WHERE channel = old.channel; END;
`

/** What is remembered by name. */
const MEMORY = 'CREATE TABLE memory (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;'

/** The step from each version of the file to the next; what was released never changes. */
const MIGRATIONS: readonly string[] = [FIRST, MEMORY]

/** Brings the file to this version, in the transaction of the caller. Throws a sentence for a file of a newer Curlew. */
export function migrate(database: DatabaseSync, path: string): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
  if (version > MIGRATIONS.length) {
    throw new Error(`${path} was written by a newer Curlew (version ${version} of the file, this one knows ${MIGRATIONS.length}): use that one, or move the file away`)
  }
  if (version === MIGRATIONS.length) return
  for (const step of MIGRATIONS.slice(version)) database.exec(step)
  database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`)
}
