//! The tables and the statements over them.

/// Version of the format, in the `meta` row `format`.
pub const FORMAT: &str = "6";

/// The format before it, which is carried over: no base remembers who may do what with its file.
pub const FORMAT_5: &str = "5";

/// The format of 0.1, which is carried over: without `refusal`, and its keys folded by a newer
/// Unicode than Dropbox's.
pub const FORMAT_4: &str = "4";

/// Makes the tables of a new index.
///
/// `entry`: `kind` is the base (0 none, 1 folder, 2 file), `rkind` what Dropbox holds (0 as the
/// base, 1 nothing, 2 a folder, 3 a file, 4 something that cannot be downloaded); `mount` tells a
/// local folder on which a disk is mounted, whether or not there is a base. `shown` is
/// Dropbox's real-case name where it is not the folded one, `local` the local name where it is not
/// `shown`, `lower` the server's own folded path where it is not the key; `arrived` the pass in
/// which a file last came to be where none was, negative if it came back; `mode`, `uid` and `gid`
/// who may do what with the file or folder of the base. Of a folder `inode` tells which one it is,
/// and `ctime` when it was made.
///
/// [`CREATE_REFUSALS`] makes the rest.
pub const CREATE: &str = "
CREATE TABLE meta (
    name TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE entry (
    dir TEXT NOT NULL, name TEXT NOT NULL,
    shown TEXT, local TEXT, lower TEXT,
    kind INTEGER NOT NULL, mount INTEGER NOT NULL,
    rev TEXT, hash BLOB, size INTEGER, mtime INTEGER, ctime INTEGER, inode INTEGER,
    racy INTEGER NOT NULL, arrived INTEGER NOT NULL,
    rkind INTEGER NOT NULL, rrev TEXT, rhash BLOB, rsize INTEGER, rtime INTEGER,
    sum INTEGER NOT NULL,
    mode INTEGER, uid INTEGER, gid INTEGER,
    PRIMARY KEY (dir, name)
) WITHOUT ROWID;
CREATE INDEX entry_pending ON entry (dir, name) WHERE rkind <> 0;
CREATE TABLE staged (
    seq INTEGER PRIMARY KEY,
    dir TEXT NOT NULL, name TEXT NOT NULL,
    shown TEXT, lower TEXT,
    rkind INTEGER NOT NULL, rrev TEXT, rhash BLOB, rsize INTEGER, rtime INTEGER,
    sum INTEGER NOT NULL
);
";

/// Makes room for who may do what with the base.
pub const ADD_RIGHTS: &str = "
ALTER TABLE entry ADD COLUMN mode INTEGER;
ALTER TABLE entry ADD COLUMN uid INTEGER;
ALTER TABLE entry ADD COLUMN gid INTEGER;
";

/// Makes the table of what could not be done, which is empty nearly always: `seen` is what was
/// looked at, and `since` and `next` are seconds since 1970.
pub const CREATE_REFUSALS: &str = "
CREATE TABLE refusal (
    dir TEXT NOT NULL, name TEXT NOT NULL,
    reason INTEGER NOT NULL, seen TEXT NOT NULL, text TEXT NOT NULL,
    since INTEGER NOT NULL, next INTEGER NOT NULL, sum INTEGER NOT NULL,
    PRIMARY KEY (dir, name)
) WITHOUT ROWID;
";

macro_rules! columns {
    () => {
        "dir, name, shown, local, lower, kind, mount, rev, hash, size, mtime, ctime, inode, racy, \
         arrived, rkind, rrev, rhash, rsize, rtime, sum, mode, uid, gid"
    };
}

/// One row by key.
pub const SELECT_ONE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry WHERE dir = ? AND name = ?"
);

/// The next rows of a directory.
pub const SELECT_IN_DIR: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry WHERE dir = ? AND name > ? ORDER BY name LIMIT ?"
);

/// The same, of those that are pending.
pub const SELECT_PENDING_IN_DIR: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry INDEXED BY entry_pending WHERE rkind <> 0 AND dir = ? AND name > ? \
      ORDER BY name LIMIT ?"
);

/// The next rows of a directory, of each as much as tells a file that is in step.
pub const SELECT_SUMMARIES: &str = "
SELECT name, shown, kind = 2 AND rkind = 0 AND racy = 0 AND mode IS NOT NULL,
       size, mtime, ctime, inode, arrived, kind = 0 AND rkind = 3
FROM entry WHERE dir = ? AND name > ? ORDER BY name LIMIT ?";

/// The next rows of the whole index, in order of directory and name.
pub const SELECT_AFTER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry WHERE (dir, name) > (?, ?) ORDER BY dir, name LIMIT ?"
);

/// The next rows of the directories before another one.
pub const SELECT_BETWEEN: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry WHERE (dir, name) > (?1, ?2) AND dir < ?3 ORDER BY dir, name LIMIT ?4"
);

/// How many things Dropbox holds in ?1 and between ?2 and ?3, and how many bytes.
pub const SELECT_SUBTREE_TOTALS: &str = "
SELECT count(*) FILTER (WHERE rkind > 1 OR (rkind = 0 AND kind <> 0)),
       coalesce(sum(CASE WHEN rkind = 3 THEN rsize WHEN rkind = 0 AND kind = 2 THEN size END), 0)
FROM entry WHERE dir = ?1 OR (dir >= ?2 AND dir < ?3)";

/// Whether there are files in ?1 or between ?2 and ?3.
pub const HAS_FILES_BELOW: &str = "
SELECT 1 FROM entry
WHERE (dir = ?1 OR (dir >= ?2 AND dir < ?3)) AND (kind = 2 OR rkind = 3) LIMIT 1";

/// The same for files with a base.
pub const HAS_BASE_FILES_BELOW: &str = "
SELECT 1 FROM entry WHERE (dir = ?1 OR (dir >= ?2 AND dir < ?3)) AND kind = 2 LIMIT 1";

/// Folders with a mount; what lies below comes behind.
pub const SELECT_MOUNTS: &str = "SELECT dir, name FROM entry WHERE mount = 1 ORDER BY dir, name";

/// Up to ?2 files that are to come down and have at most ?1 bytes.
pub const COUNT_DUE: &str = "SELECT count(*) FROM (SELECT 1 FROM entry \
     WHERE rkind <> 0 AND rkind = 3 AND rsize <= ?1 LIMIT ?2)";

/// How many files are to come down, and how many bytes they have.
pub const SELECT_DUE_TOTALS: &str = "SELECT count(*), coalesce(sum(rsize), 0) FROM entry \
     WHERE rkind <> 0 AND rkind = 3";

/// The files with a base that Dropbox holds no more.
pub const SELECT_GONE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry WHERE rkind <> 0 AND rkind = 1 AND kind = 2"
);

/// The folders with a base that Dropbox holds no more.
pub const SELECT_GONE_FOLDERS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry WHERE rkind <> 0 AND rkind = 1 AND kind = 1"
);

/// The folders without a base that Dropbox holds.
pub const SELECT_NEW_FOLDERS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry WHERE rkind <> 0 AND rkind = 2 AND kind = 0"
);

/// A file that Dropbox holds in a directory under a revision, and that is to come down.
pub const SELECT_DUE_REV: &str =
    "SELECT 1 FROM entry WHERE dir = ? AND rkind <> 0 AND rkind = 3 AND rrev = ?";

/// All files that Dropbox holds as the base says.
pub const SELECT_IN_STEP: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry WHERE kind = 2 AND rkind = 0"
);

/// All folders that both sides have.
pub const SELECT_FOLDERS_IN_STEP: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry WHERE kind = 1 AND rkind = 0"
);

/// How many rows a directory has.
pub const COUNT_IN_DIR: &str = "SELECT count(*) FROM entry WHERE dir = ?";

/// Whether there are rows in ?1 or between ?2 and ?3.
pub const HAS_BELOW: &str = "
SELECT 1 FROM entry WHERE dir = ?1 OR (dir >= ?2 AND dir < ?3) LIMIT 1";

/// Whether a file was moved, of which Dropbox has not told under which rev.
pub const HAS_UNKNOWN_REV: &str =
    "SELECT 1 FROM entry WHERE kind = 2 AND rkind = 0 AND rev = '' LIMIT 1";

/// The next files and folders that Dropbox holds as the base says.
pub const SELECT_IN_STEP_AFTER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry WHERE (dir, name) > (?1, ?2) AND kind <> 0 AND rkind = 0 \
      ORDER BY dir, name LIMIT ?3"
);

/// The next rows whose keys another lower case may have made: Dropbox's own path is another, or
/// there are letters in the key that have more than one byte.
pub const SELECT_KEYED_OTHERWISE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entry WHERE (dir, name) > (?1, ?2) AND (lower IS NOT NULL \
      OR length(CAST(dir || name AS BLOB)) <> length(dir || name)) \
      ORDER BY dir, name LIMIT ?3"
);

/// Writes a row.
pub const UPSERT: &str = concat!(
    "INSERT OR REPLACE INTO entry (",
    columns!(),
    ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
);

/// The next directory with pending rows.
pub const NEXT_PENDING_DIR: &str =
    "SELECT dir FROM entry WHERE rkind <> 0 AND (?1 OR dir > ?2) ORDER BY dir LIMIT 1";
