//! Writing zip archives, in every way a server might.
//!
//! Dropbox documents neither the layout nor the coding of its archives. Known is: they are made
//! while they are sent, so that the answer has no `Content-Length` (SwiftyDropbox issue 220); the
//! files lie in a folder with the name of the one asked for (scripts that unpack them rely on
//! it); files carry their own times; archives of the web site begin with an entry `/`, carry the
//! time of the download for it, and have no top folder (libarchive issue 982); a program that
//! reads them in a browser takes contents as they stand in the archive. The default here
//! is what follows from that for the API; the rest can be switched, so that readers are tried
//! with all of it. The format is that of PKWARE's APPNOTE 6.3.

use std::borrow::Cow;

use miniz_oxide::deflate::compress_to_vec;

use crate::clock::seconds_of;

/// How the archives of `files/download_zip` are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are independent switches"
)]
pub struct ZipStyle {
    /// How contents are coded.
    pub packing: Packing,
    /// Where sizes and checksums stand.
    pub sizes: Sizes,
    /// Which entries folders have.
    pub folders: Folders,
    /// Whether all names start with the name of the folder that was asked for.
    pub top_folder: bool,
    /// Whether the archive begins with an entry `/`.
    pub root_entry: bool,
    /// Whether the 64-bit forms are used even where nothing needs them.
    pub zip64: bool,
    /// Whether entries carry their times in UTC as well (the `UT` extra field).
    pub unix_times: bool,
    /// Whether the answer is sent in chunks, without a length.
    pub chunked: bool,
}

impl Default for ZipStyle {
    fn default() -> Self {
        Self {
            packing: Packing::Stored,
            sizes: Sizes::Descriptor,
            folders: Folders::Empty,
            top_folder: true,
            root_entry: false,
            zip64: false,
            unix_times: false,
            chunked: true,
        }
    }
}

/// How the contents in an archive are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// As they are.
    Stored,
    /// With deflate.
    Deflated,
    /// Every second file with deflate.
    Alternating,
}

/// Where the sizes and the checksum of an entry stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// In the header before the data.
    Header,
    /// In a descriptor after the data that starts with its signature.
    Descriptor,
    /// In a descriptor after the data without signature.
    BareDescriptor,
}

/// Which entries folders have in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folders {
    /// None: empty folders are lost.
    Absent,
    /// A stored entry of size 0, without descriptor.
    Empty,
    /// An entry that is coded as that of an empty file would be.
    LikeFiles,
    /// Two stored entries: one in real case, and one in lower case (dropbox-sdk-python issue 168).
    Twice,
}

/// What a folder may have at most to be sent as an archive. Reaching a limit is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZipLimits {
    /// The bytes of all files together.
    pub folder_bytes: u64,
    /// The bytes of one file.
    pub file_bytes: u64,
    /// Files and folders, with the folder itself.
    pub entries: usize,
}

impl Default for ZipLimits {
    /// Those of the spec, its GB taken as decimal.
    fn default() -> Self {
        Self {
            folder_bytes: 20_000_000_000,
            file_bytes: 4_000_000_000,
            entries: 10_000,
        }
    }
}

/// One entry on its way into an archive.
pub(crate) struct Item<'a> {
    /// With a slash at the end for a folder.
    pub(crate) name: String,
    pub(crate) bytes: Cow<'a, [u8]>,
    /// A timestamp like `2024-05-06T07:08:09Z`.
    pub(crate) modified: String,
}

const UTF8: u16 = 1 << 11;
const SIZES_FOLLOW: u16 = 1 << 3;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// The level of deflate; 6 is what servers use that do not think about it.
const LEVEL: u8 = 6;

/// The whole archive.
pub(crate) fn archive(style: &ZipStyle, items: Vec<Item>) -> Vec<u8> {
    let mut writer = Writer {
        style,
        bytes: Vec::new(),
        directory: Vec::new(),
        count: 0,
    };
    for item in items {
        writer.add(&item);
    }
    writer.finish()
}

struct Writer<'a> {
    style: &'a ZipStyle,
    bytes: Vec<u8>,
    directory: Vec<u8>,
    count: u64,
}

/// What both headers of an entry say.
struct Coded {
    flags: u16,
    method: u16,
    time: [u16; 2],
    crc: u32,
    packed: u64,
    size: u64,
}

impl Writer<'_> {
    fn add(&mut self, item: &Item) {
        let plain = item.name.ends_with('/') && self.style.folders != Folders::LikeFiles;
        let deflated = match self.style.packing {
            Packing::Stored => false,
            Packing::Deflated => true,
            Packing::Alternating => self.count.is_multiple_of(2),
        };
        let packed;
        let (method, data) = if deflated && !plain {
            packed = compress_to_vec(&item.bytes, LEVEL);
            (DEFLATED, &packed[..])
        } else {
            (STORED, &item.bytes[..])
        };
        let follow = self.style.sizes != Sizes::Header && !plain;
        let coded = Coded {
            flags: if follow { UTF8 | SIZES_FOLLOW } else { UTF8 },
            method,
            time: dos_time(&item.modified),
            crc: crc32(&item.bytes),
            packed: data.len() as u64,
            size: item.bytes.len() as u64,
        };
        let offset = self.bytes.len() as u64;
        self.local_header(item, &coded, follow);
        self.bytes.extend_from_slice(data);
        if follow {
            self.descriptor(&coded);
        }
        self.directory_entry(item, &coded, offset);
        self.count += 1;
    }

    /// Whether an entry needs 64-bit sizes, or has to have them.
    fn is_wide(&self, coded: &Coded) -> bool {
        self.style.zip64 || coded.size.max(coded.packed) >= u64::from(u32::MAX)
    }

    fn local_header(&mut self, item: &Item, coded: &Coded, follow: bool) {
        let wide = self.is_wide(coded);
        let (crc, packed, size) = if follow {
            (0, 0, 0)
        } else {
            (coded.crc, coded.packed, coded.size)
        };
        let mut extra = Vec::new();
        if wide {
            put16(&mut extra, &[0x0001, 16]);
            put64(&mut extra, &[size, packed]);
        }
        self.times(item, &mut extra);
        let out = &mut self.bytes;
        put32(out, &[0x0403_4b50]);
        put16(out, &[version(wide), coded.flags, coded.method]);
        put16(out, &coded.time);
        put32(out, &[crc, low(packed, wide), low(size, wide)]);
        put16(out, &[length(item.name.as_bytes()), length(&extra)]);
        out.extend_from_slice(item.name.as_bytes());
        out.extend_from_slice(&extra);
    }

    fn descriptor(&mut self, coded: &Coded) {
        let wide = self.is_wide(coded);
        if self.style.sizes == Sizes::Descriptor {
            put32(&mut self.bytes, &[0x0807_4b50]);
        }
        put32(&mut self.bytes, &[coded.crc]);
        if wide {
            put64(&mut self.bytes, &[coded.packed, coded.size]);
        } else {
            let sizes = [low(coded.packed, false), low(coded.size, false)];
            put32(&mut self.bytes, &sizes);
        }
    }

    fn directory_entry(&mut self, item: &Item, coded: &Coded, offset: u64) {
        let wide = self.is_wide(coded) || offset >= u64::from(u32::MAX);
        let mut extra = Vec::new();
        if wide {
            put16(&mut extra, &[0x0001, 24]);
            put64(&mut extra, &[coded.size, coded.packed, offset]);
        }
        self.times(item, &mut extra);
        let attributes = if item.name.ends_with('/') { 0x10 } else { 0 };
        let out = &mut self.directory;
        put32(out, &[0x0201_4b50]);
        put16(
            out,
            &[version(wide), version(wide), coded.flags, coded.method],
        );
        put16(out, &coded.time);
        put32(
            out,
            &[coded.crc, low(coded.packed, wide), low(coded.size, wide)],
        );
        let lengths = [length(item.name.as_bytes()), length(&extra)];
        put16(out, &lengths);
        put16(out, &[0, 0, 0]);
        put32(out, &[attributes, low(offset, wide)]);
        out.extend_from_slice(item.name.as_bytes());
        out.extend_from_slice(&extra);
    }

    /// The `UT` field with the time of modification.
    fn times(&self, item: &Item, extra: &mut Vec<u8>) {
        if self.style.unix_times {
            put16(extra, &[0x5455, 5]);
            extra.push(1);
            let seconds = u32::try_from(seconds_of(&item.modified)).unwrap_or(0);
            put32(extra, &[seconds]);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        let (offset, size) = (self.bytes.len() as u64, self.directory.len() as u64);
        let wide = self.style.zip64
            || self.count >= u64::from(u16::MAX)
            || offset.max(size) >= u64::from(u32::MAX);
        self.bytes.append(&mut self.directory);
        let out = &mut self.bytes;
        if wide {
            let end = offset + size;
            put32(out, &[0x0606_4b50]);
            put64(out, &[44]);
            put16(out, &[version(true), version(true)]);
            put32(out, &[0, 0]);
            put64(out, &[self.count, self.count, size, offset]);
            put32(out, &[0x0706_4b50, 0]);
            put64(out, &[end]);
            put32(out, &[1]);
        }
        let count = if wide {
            u16::MAX
        } else {
            u16::try_from(self.count).unwrap_or(u16::MAX)
        };
        put32(out, &[0x0605_4b50]);
        put16(out, &[0, 0, count, count]);
        put32(out, &[low(size, wide), low(offset, wide)]);
        put16(out, &[0]);
        self.bytes
    }
}

fn version(wide: bool) -> u16 {
    if wide { 45 } else { 20 }
}

/// A 32-bit field; all ones if the 64-bit one counts.
fn low(value: u64, wide: bool) -> u32 {
    if wide {
        u32::MAX
    } else {
        u32::try_from(value).unwrap_or(u32::MAX)
    }
}

fn length(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}

fn put16(out: &mut Vec<u8>, values: &[u16]) {
    values
        .iter()
        .for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

fn put32(out: &mut Vec<u8>, values: &[u32]) {
    values
        .iter()
        .for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

fn put64(out: &mut Vec<u8>, values: &[u64]) {
    values
        .iter()
        .for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
}

/// Time and date as MS-DOS has them: in steps of two seconds, between 1980 and 2107. Which time
/// zone Dropbox writes is not known; here it is UTC.
fn dos_time(timestamp: &str) -> [u16; 2] {
    let number = |from: usize, to: usize| timestamp[from..to].parse::<u16>().unwrap_or(0);
    let year = number(0, 4);
    if year < 1980 {
        return [0, 1 << 5 | 1];
    }
    let date = (year.min(2107) - 1980) << 9 | number(5, 7) << 5 | number(8, 10);
    [
        number(11, 13) << 11 | number(14, 16) << 5 | (number(17, 19) / 2),
        date,
    ]
}

/// The table of CRC-32 (polynomial 0xEDB88320), a byte at a time.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                value >> 1 ^ 0xEDB8_8320
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        TABLE[(crc as u8 ^ byte) as usize] ^ crc >> 8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn times_are_packed_as_dos_does() {
        assert_eq!(
            dos_time("2017-12-27T09:13:07Z"),
            [9 << 11 | 13 << 5 | 3, 37 << 9 | 12 << 5 | 27]
        );
        assert_eq!(dos_time("1970-01-01T00:00:00Z"), [0, 33]);
    }
}
