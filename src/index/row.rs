//! One row: what it means, how it is stored, and how a damaged one is told.

use rusqlite::{Connection, Row as SqlRow, params};

use crate::core::content_hash::ContentHash;
use crate::core::decide;
use crate::core::path::{Key, fold};
use crate::core::remote::Rev;
use crate::error::Result;
use crate::io::stat::{FolderRights, Rights, Stamp};

/// What both sides last agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    None,
    /// A folder.
    Folder,
    /// A file.
    File(BaseFile),
}

/// A file both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseFile {
    /// Its revision in Dropbox.
    pub rev: Rev,
    /// Its content.
    pub hash: ContentHash,
    /// The local file that had this content; its size is the content's.
    pub stamp: Stamp,
    /// The stamp was too fresh to trust: the file is hashed once more.
    pub racy: bool,
    /// The pass in which it last came to be on a side where it was not.
    pub arrived_in_pass: u64,
    /// It came back then: it had been in step when the guards were last asked.
    pub reappeared: bool,
}

/// What Dropbox was seen to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// What the base says.
    AsBase,
    /// Nothing.
    Gone,
    /// A folder.
    Folder,
    /// A file.
    File(RemoteFile),
    /// Something that cannot be downloaded: a web document, a link. Nothing follows from it.
    NotDownloadable,
}

/// A file seen in Dropbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its revision.
    pub rev: Rev,
    /// Its content, where Dropbox states it.
    pub hash: Option<ContentHash>,
    /// Its length in bytes.
    pub size: u64,
    /// The time a client gave it, in seconds since 1970; only for display.
    pub modified: Option<i64>,
}

/// Everything known about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: Key,
    /// The real-case name in Dropbox.
    pub display_name: String,
    /// The local name, where it differs from `display_name`.
    pub local: Option<String>,
    /// The server's `path_lower` below the remote root, where it differs from the key.
    pub lower: Option<String>,
    /// What both sides agreed on.
    pub base: Base,
    /// Who may do what with the folder that is the base, where that is known.
    pub folder_rights: Option<FolderRights>,
    /// What Dropbox holds.
    pub remote: Remote,
    /// The local folder was seen to lie on another device than its parent. It says so of a folder
    /// that does not travel, too: files in it may.
    pub mount: bool,
    /// False if the row failed its checksum: then it says nothing.
    pub intact: bool,
}

impl Row {
    /// A row about nothing yet.
    pub fn new(key: Key, display_name: &str) -> Row {
        Row {
            key,
            display_name: display_name.to_owned(),
            local: None,
            lower: None,
            base: Base::None,
            folder_rights: None,
            remote: Remote::AsBase,
            mount: false,
            intact: true,
        }
    }

    /// The local name. One that comes down has to be found again under its key, and so is the key
    /// itself where Dropbox shows a name that has another one.
    pub fn local_name(&self) -> &str {
        match &self.local {
            Some(name) => name,
            None if fold(&self.display_name) == self.key.name => &self.display_name,
            None => &self.key.name,
        }
    }

    /// The path requests name, below the remote root: the server's own `path_lower`.
    pub fn request_path(&self) -> String {
        self.lower.clone().unwrap_or_else(|| self.key.path())
    }

    /// The base as the decision sees it.
    pub fn base_kind(&self) -> decide::BaseKind {
        match self.base {
            Base::None => decide::BaseKind::None,
            Base::Folder => decide::BaseKind::Folder,
            Base::File(_) => decide::BaseKind::File,
        }
    }

    /// The base file, if the base is one.
    pub fn base_file(&self) -> Option<&BaseFile> {
        match &self.base {
            Base::File(file) => Some(file),
            Base::None | Base::Folder => None,
        }
    }

    /// Who may do what with what both sides agreed on, where that is known.
    pub fn rights(&self) -> Option<Rights> {
        match &self.base {
            Base::None => None,
            Base::Folder => self.folder_rights.map(|known| known.rights),
            Base::File(file) => file.stamp.rights,
        }
    }

    /// The file Dropbox holds, if it holds one.
    pub fn remote_file(&self) -> Option<RemoteFile> {
        match (&self.remote, &self.base) {
            (Remote::File(file), _) => Some(file.clone()),
            (Remote::AsBase, Base::File(base)) => Some(RemoteFile {
                rev: base.rev.clone(),
                hash: Some(base.hash),
                size: base.stamp.size,
                modified: None,
            }),
            _ => None,
        }
    }

    /// Whether Dropbox holds a folder here.
    pub fn remote_is_folder(&self) -> bool {
        match self.remote {
            Remote::Folder => true,
            Remote::AsBase => self.base == Base::Folder,
            Remote::Gone | Remote::File(_) | Remote::NotDownloadable => false,
        }
    }

    /// Dropbox as the decision sees it.
    pub fn remote_side(&self) -> decide::Side {
        use decide::{Content, Side};
        if !self.intact {
            return Side::Unknown;
        }
        match (&self.remote, &self.base) {
            (Remote::AsBase, Base::None) | (Remote::Gone, _) => Side::Gone,
            (Remote::AsBase, Base::Folder) | (Remote::Folder, _) => Side::Folder,
            (Remote::NotDownloadable, _) => Side::Unknown,
            // Nothing may name it before Dropbox has told.
            (Remote::AsBase, Base::File(_)) if self.waits_for_its_rev() => Side::Unknown,
            (Remote::AsBase, Base::File(_)) => Side::File(Content::Same),
            (Remote::File(remote), Base::File(base)) if remote.rev == base.rev => {
                Side::File(Content::Same)
            }
            (Remote::File(_), _) => Side::File(Content::Edited),
        }
    }

    /// Takes note of what Dropbox holds, in the shortest form. The content of the base under
    /// another rev is no edit: one was undone, or the file moved away and back. That rev is named
    /// from then on.
    pub fn set_remote(&mut self, remote: Remote) {
        if let (Remote::File(remote), Base::File(base)) = (&remote, &mut self.base)
            && remote.hash == Some(base.hash)
        {
            base.rev.clone_from(&remote.rev);
        }
        let as_base = match (&remote, &self.base) {
            (Remote::Folder, Base::Folder) => true,
            (Remote::File(remote), Base::File(base)) => remote.rev == base.rev,
            (Remote::Gone, Base::None) | (Remote::AsBase, _) => true,
            _ => false,
        };
        self.remote = if as_base { Remote::AsBase } else { remote };
    }

    /// What Dropbox holds, spelt out.
    pub fn remote_now(&self) -> Remote {
        if self.remote == Remote::NotDownloadable || self.waits_for_its_rev() {
            return Remote::NotDownloadable;
        }
        match (self.remote_file(), self.remote_is_folder()) {
            (Some(file), _) => Remote::File(file),
            (None, true) => Remote::Folder,
            (None, false) => Remote::Gone,
        }
    }

    /// Whether the file was moved in Dropbox, which has not told yet under which rev.
    pub fn waits_for_its_rev(&self) -> bool {
        let is_as_base = self.remote == Remote::AsBase;
        is_as_base && self.base_file().is_some_and(|base| !base.rev.is_known())
    }

    /// Replaces the base; Dropbox goes on holding what it was seen to hold.
    pub fn set_base(&mut self, base: Base) {
        let seen = self.remote_now();
        self.base = base;
        self.set_remote(seen);
    }

    /// Both sides agree on `base`.
    pub fn settle(&mut self, base: Base, local_name: &str) {
        self.base = base;
        self.remote = Remote::AsBase;
        self.local = (local_name != self.display_name).then(|| local_name.to_owned());
    }

    /// Nothing is known of the path: the row need not be kept.
    pub fn is_empty(&self) -> bool {
        let is_nowhere = matches!(self.remote, Remote::Gone | Remote::AsBase);
        self.base == Base::None && is_nowhere && !self.mount
    }

    /// Whether rows may lie below this one.
    pub fn may_have_children(&self) -> bool {
        !self.intact || self.base == Base::Folder || matches!(self.remote, Remote::Folder)
    }
}

/// Reads a row; one that fails its checksum comes back as not intact, without base.
pub fn read(sql: &SqlRow<'_>) -> rusqlite::Result<Row> {
    let key = Key {
        dir: sql.get(0)?,
        name: sql.get(1)?,
    };
    Ok(decode(sql, &key).unwrap_or_else(|| {
        let mut row = Row::new(key.clone(), &key.name);
        row.intact = false;
        row
    }))
}

fn decode(sql: &SqlRow<'_>, key: &Key) -> Option<Row> {
    let shown: Option<String> = sql.get(2).ok()?;
    let mount: i64 = sql.get(6).ok()?;
    let racy: i64 = sql.get(13).ok()?;
    let arrived: i64 = sql.get(14).ok()?;
    let base = match sql.get::<_, i64>(5).ok()? {
        0 => Base::None,
        1 => Base::Folder,
        2 => Base::File(BaseFile {
            rev: Rev::from(sql.get::<_, String>(7).ok()?),
            hash: ContentHash(sql.get(8).ok()?),
            stamp: Stamp {
                size: from_sql(sql.get(9).ok()?),
                mtime_ns: sql.get(10).ok()?,
                ctime_ns: sql.get(11).ok()?,
                inode: from_sql(sql.get(12).ok()?),
                rights: decode_rights(sql)?,
            },
            racy: racy != 0,
            arrived_in_pass: arrived.unsigned_abs(),
            reappeared: arrived < 0,
        }),
        _ => return None,
    };
    let remote = match sql.get::<_, i64>(15).ok()? {
        0 => Remote::AsBase,
        1 => Remote::Gone,
        2 => Remote::Folder,
        4 => Remote::NotDownloadable,
        3 => Remote::File(RemoteFile {
            rev: Rev::from(sql.get::<_, String>(16).ok()?),
            hash: sql.get::<_, Option<[u8; 32]>>(17).ok()?.map(ContentHash),
            size: from_sql(sql.get(18).ok()?),
            modified: sql.get(19).ok()?,
        }),
        _ => return None,
    };
    let row = Row {
        key: key.clone(),
        display_name: shown.unwrap_or_else(|| key.name.clone()),
        local: sql.get(3).ok()?,
        lower: sql.get(4).ok()?,
        folder_rights: match base {
            Base::Folder => match decode_rights(sql)? {
                Some(rights) => Some(FolderRights {
                    rights,
                    inode: from_sql(sql.get::<_, Option<i64>>(12).ok()?.unwrap_or(0)),
                    born_ns: sql.get(11).ok()?,
                }),
                None => None,
            },
            Base::None | Base::File(_) => None,
        },
        base,
        remote,
        mount: mount != 0,
        intact: true,
    };
    (sql.get::<_, i64>(20).ok()? == checksum(&row)).then_some(row)
}

/// The rights of the base file; nothing at all if they make no sense.
fn decode_rights(sql: &SqlRow<'_>) -> Option<Option<Rights>> {
    let number = |at| sql.get::<_, Option<u32>>(at).ok();
    Some(match (number(21)?, number(22)?, number(23)?) {
        (Some(mode), Some(uid), Some(gid)) => Some(Rights { mode, uid, gid }),
        (None, None, None) => None,
        _ => return None,
    })
}

/// Writes a row with its checksum, which it returns.
pub fn write(db: &Connection, row: &Row) -> Result<i64> {
    let checksum = checksum(row);
    let kind = match &row.base {
        Base::None => 0,
        Base::Folder => 1,
        Base::File(_) => 2,
    };
    let base = row.base_file();
    let stamp = base.map(|base| base.stamp);
    let folder = seen_folder(row);
    let inode = stamp.map(|stamp| stamp.inode);
    let inode = inode.or(folder.map(|folder| folder.inode));
    let born_ns = folder.and_then(|folder| folder.born_ns);
    let rights = row.rights();
    let arrived = base.map_or(0, |base| {
        let pass = to_sql(base.arrived_in_pass);
        if base.reappeared { -pass } else { pass }
    });
    let (rkind, remote) = remote_columns(&row.remote);
    let mut upsert = db.prepare_cached(super::schema::UPSERT)?;
    upsert.execute(params![
        row.key.dir,
        row.key.name,
        (row.display_name != row.key.name).then_some(&row.display_name),
        row.local,
        row.lower,
        kind,
        row.mount,
        base.map(|base| base.rev.as_str()),
        base.map(|base| base.hash.0),
        stamp.map(|stamp| to_sql(stamp.size)),
        stamp.map(|stamp| stamp.mtime_ns),
        stamp.map(|stamp| stamp.ctime_ns).or(born_ns),
        inode.map(to_sql),
        base.is_some_and(|base| base.racy),
        arrived,
        rkind,
        remote.map(|file| file.rev.as_str()),
        remote.and_then(|file| file.hash).map(|hash| hash.0),
        remote.map(|file| to_sql(file.size)),
        remote.and_then(|file| file.modified),
        checksum,
        rights.map(|rights| rights.mode),
        rights.map(|rights| rights.uid),
        rights.map(|rights| rights.gid),
    ])?;
    Ok(checksum)
}

/// The folder that is the base, where it is known which one that is.
fn seen_folder(row: &Row) -> Option<FolderRights> {
    let known = row.folder_rights.filter(|_| row.base == Base::Folder);
    known.filter(|known| known.inode != 0)
}

/// `rkind` and the file it may be about.
pub fn remote_columns(remote: &Remote) -> (i64, Option<&RemoteFile>) {
    match remote {
        Remote::AsBase => (0, None),
        Remote::Gone => (1, None),
        Remote::Folder => (2, None),
        Remote::File(file) => (3, Some(file)),
        Remote::NotDownloadable => (4, None),
    }
}

/// SQLite's integers are signed: the bits are kept, not the value.
pub fn to_sql(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

/// The reverse of [`to_sql`].
pub fn from_sql(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}

/// FNV-1a over every field: each step is a bijection, so a single changed bit always shows.
pub fn checksum(row: &Row) -> i64 {
    let mut sum = Fnv(0xcbf2_9ce4_8422_2325);
    sum.text(&row.key.dir);
    sum.text(&row.key.name);
    sum.text(&row.display_name);
    sum.optional(row.local.as_deref());
    sum.optional(row.lower.as_deref());
    let mount = u8::from(row.mount);
    match &row.base {
        Base::None => sum.bytes(&[mount << 2]),
        Base::Folder => {
            sum.bytes(&[1, mount]);
            if let Some(folder) = seen_folder(row) {
                sum.bytes(&folder.inode.to_le_bytes());
                sum.bytes(&folder.born_ns.unwrap_or_default().to_le_bytes());
            }
        }
        Base::File(file) => {
            sum.bytes(&[
                2 | mount << 2,
                u8::from(file.racy) | u8::from(file.reappeared) << 1,
            ]);
            sum.bytes(&file.arrived_in_pass.to_le_bytes());
            sum.text(file.rev.as_str());
            sum.bytes(&file.hash.0);
            let stamp = &file.stamp;
            sum.bytes(&stamp.size.to_le_bytes());
            sum.bytes(&stamp.mtime_ns.to_le_bytes());
            sum.bytes(&stamp.ctime_ns.to_le_bytes());
            sum.bytes(&stamp.inode.to_le_bytes());
        }
    }
    if let Some(Rights { mode, uid, gid }) = row.rights() {
        [mode, uid, gid]
            .iter()
            .for_each(|number| sum.bytes(&number.to_le_bytes()));
    }
    let (rkind, remote) = remote_columns(&row.remote);
    sum.bytes(&rkind.to_le_bytes());
    if let Some(file) = remote {
        sum.text(file.rev.as_str());
        sum.bytes(&[u8::from(file.hash.is_some())]);
        sum.bytes(&file.hash.map_or([0; 32], |hash| hash.0));
        sum.bytes(&file.size.to_le_bytes());
        sum.bytes(&[u8::from(file.modified.is_some())]);
        sum.bytes(&file.modified.unwrap_or_default().to_le_bytes());
    }
    i64::from_ne_bytes(sum.0.to_ne_bytes())
}

/// The same over a few texts.
pub fn checksum_of_fields(fields: &[&str]) -> i64 {
    let mut sum = Fnv(0xcbf2_9ce4_8422_2325);
    fields.iter().for_each(|field| sum.text(field));
    i64::from_ne_bytes(sum.0.to_ne_bytes())
}

/// The same over a key and the checksum of its row.
pub fn checksum_of_key(dir: &[u8], name: &[u8], checksum: i64) -> i64 {
    let mut sum = Fnv(0xcbf2_9ce4_8422_2325);
    sum.bytes(dir);
    sum.bytes(&[0xff]);
    sum.bytes(name);
    sum.bytes(&checksum.to_le_bytes());
    i64::from_ne_bytes(sum.0.to_ne_bytes())
}

struct Fnv(u64);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// A text and its end, so that neighbouring texts stay apart.
    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        self.bytes(&[0xff]);
    }

    fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.bytes(&[0xfe]),
        }
    }
}
