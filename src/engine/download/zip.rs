//! Reading a zip archive while it arrives (PKWARE's APPNOTE 6.3), without its directory, which
//! comes last.
//!
//! Archives made on the fly state sizes behind the data. Deflated data tells its own end; stored
//! data does not, so whoever reads it has to know its size from elsewhere. What is only passed over
//! ends where a descriptor says the length and the checksum of what was passed.

use std::io::{self, Read};

use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush, MZStatus};

/// Bytes read at a time.
const BUFFER_BYTES: usize = 16 * 1024;
/// Deflated bytes that may stand for nothing: empty blocks can follow each other without end.
const BARREN_BYTES_MAX: u64 = 64 * 1024;
/// Bytes of the fixed part of an entry's head; name and extra field follow.
const HEAD_BYTES: usize = 30;
/// Longest descriptor, in bytes.
const DESCRIPTOR_BYTES: usize = 24;
/// That, with the signature of what follows it.
const ENDING_BYTES: usize = DESCRIPTOR_BYTES + 4;

const ENTRY: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
/// What may stand where no entry follows: the directory, or its end where there are no entries.
const DIRECTORY: [u32; 3] = [0x0201_4b50, 0x0606_4b50, 0x0605_4b50];

/// What an entry says of itself.
#[derive(Debug)]
pub struct Head {
    /// The name as it stands there; a folder's ends with a slash.
    pub name: String,
    /// Its size in bytes, if that comes before the data.
    pub size: Option<u64>,
}

/// An archive under way.
pub struct Archive<'a> {
    input: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    inflate: Box<InflateState>,
    entry: Option<ZipEntry>,
}

/// The entry at hand.
struct ZipEntry {
    is_deflated: bool,
    sizes_follow: bool,
    is_wide: bool,
    size: Option<u64>,
    /// Bytes of content handed on.
    done: u64,
    /// Bytes of the archive they took.
    packed: u64,
    /// The deflated data has told its end.
    is_over: bool,
}

impl<'a> Archive<'a> {
    /// The archive that arrives through `input`.
    pub fn new(input: Box<dyn Read + 'a>) -> Archive<'a> {
        Archive {
            input,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            inflate: InflateState::new_boxed(DataFormat::Raw),
            entry: None,
        }
    }

    /// The next entry; the one before must have been read to its end.
    ///
    /// # Errors
    /// What the connection says, or that this is no archive that can be read.
    pub fn next(&mut self) -> io::Result<Option<Head>> {
        if self.entry.is_some() {
            return Err(malformed("an entry was not read to its end"));
        }
        let head = self.peek(HEAD_BYTES)?;
        match number(head, 0, 4) {
            Some(signature) if signature == u64::from(ENTRY) => {}
            Some(signature) if DIRECTORY.iter().any(|d| signature == u64::from(*d)) => {
                return Ok(None);
            }
            _ => return Err(malformed("neither an entry nor the directory")),
        }
        let field = |at, bytes| number(head, at, bytes).ok_or_else(cut);
        let (flags, method) = (field(6, 2)?, field(8, 2)?);
        let size = field(22, 4)?;
        let lengths = [field(26, 2)?, field(28, 2)?];
        let [name_bytes, extra_bytes] = lengths.map(|n| usize::try_from(n).unwrap_or(0));
        self.start += HEAD_BYTES;
        let name = self.take_text(name_bytes)?;
        let extra = self.take_bytes(extra_bytes)?;
        let wide = wide_sizes(&extra);
        if flags & 1 != 0 || !matches!(method, 0 | 8) {
            return Err(malformed("an entry is coded in an unknown way"));
        }
        let sizes_follow = flags & 8 != 0;
        let size = match (sizes_follow, wide) {
            _ if name.ends_with('/') && method == 0 => Some(0),
            // Where it is known beforehand, it may stand here all the same.
            (true, None) if method == 0 && size != 0 && size != u64::from(u32::MAX) => Some(size),
            (true, _) => None,
            (false, Some(wide)) if size == u64::from(u32::MAX) => Some(wide),
            (false, _) => Some(size),
        };
        self.inflate.reset(DataFormat::Raw);
        self.entry = Some(ZipEntry {
            is_deflated: method == 8,
            sizes_follow,
            is_wide: wide.is_some(),
            size,
            done: 0,
            packed: 0,
            is_over: false,
        });
        Ok(Some(Head { name, size }))
    }

    /// Says how large the entry at hand is, which only tells the end of stored data that does not
    /// state it.
    pub fn set_expected_size(&mut self, size: u64) {
        if let Some(entry) = &mut self.entry {
            entry.size.get_or_insert(size);
        }
    }

    /// Reads what is left of the entry at hand, but no more than `bytes_max` bytes; says how much
    /// there was.
    ///
    /// # Errors
    /// As those of reading; also if there is more.
    pub fn skip(&mut self, bytes_max: u64) -> io::Result<u64> {
        let is_unbounded =
            |entry: &ZipEntry| !entry.is_deflated && entry.size.is_none() && entry.done == 0;
        if self.entry.as_ref().is_some_and(is_unbounded) {
            return self.skip_stored(bytes_max);
        }
        let left = bytes_max.saturating_add(1);
        let skipped = io::copy(&mut self.by_ref().take(left), &mut io::sink())?;
        if skipped > bytes_max {
            return Err(too_long());
        }
        Ok(skipped)
    }

    /// Passes over stored data of which nobody knows the length, to the descriptor that fits it.
    fn skip_stored(&mut self, bytes_max: u64) -> io::Result<u64> {
        let mut passed = Passed::default();
        // So many of the bytes at hand were looked at for what follows an entry.
        let mut looked_at = 0;
        loop {
            let ahead = self.peek(BUFFER_BYTES)?;
            let found = (looked_at..ahead.len()).find(|at| is_next_part(ahead, *at));
            // A descriptor would lie before what was found, or within what is not looked at yet.
            let end = found.unwrap_or(ahead.len().saturating_sub(3));
            let over = end.saturating_sub(DESCRIPTOR_BYTES);
            passed.take(&ahead[..over]);
            let rest = &ahead[over..end];
            let length = found.and_then(|_| passed.descriptor_at_the_end_of(rest));
            self.start += over;
            if let Some(length) = length {
                let size = passed.bytes + (end - over - length) as u64;
                self.start += end - over;
                self.entry = None;
                return Ok(size);
            }
            if passed.bytes > bytes_max {
                return Err(too_long());
            }
            if found.is_none() && over == 0 {
                return Err(cut());
            }
            looked_at = end - over + usize::from(found.is_some());
        }
    }

    /// At least so many of the next bytes, as far as there are any.
    fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.end - self.start < count {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(more) => self.end += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn take_bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(count);
        while bytes.len() < count {
            let ready = self.peek(1)?;
            if ready.is_empty() {
                return Err(cut());
            }
            let step = ready.len().min(count - bytes.len());
            bytes.extend_from_slice(&ready[..step]);
            self.start += step;
        }
        Ok(bytes)
    }

    fn take_text(&mut self, count: usize) -> io::Result<String> {
        let bytes = self.take_bytes(count)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Passes what stands behind the data of the entry at hand.
    fn end_entry(&mut self) -> io::Result<()> {
        let Some(entry) = self.entry.take().filter(|entry| entry.sizes_follow) else {
            return Ok(());
        };
        let ahead = self.peek(ENDING_BYTES)?;
        let fits = |signed: bool, wide: bool| {
            let from = if signed { 4 } else { 0 };
            let bytes = if wide { 8 } else { 4 };
            let length = from + 4 + 2 * bytes;
            let is = |at, value: u64| {
                let low = if wide {
                    value
                } else {
                    value & u64::from(u32::MAX)
                };
                number(ahead, at, bytes) == Some(low)
            };
            let next = number(ahead, length, 4);
            let is_next = |signature: &u32| next == Some(u64::from(*signature));
            let fits = (!signed || number(ahead, 0, 4) == Some(u64::from(DESCRIPTOR)))
                && is(from + 4, entry.packed)
                && is(from + 4 + bytes, entry.done)
                && (is_next(&ENTRY) || DIRECTORY.iter().any(is_next));
            fits.then_some(length)
        };
        let wide = entry.is_wide;
        let length = [(true, wide), (true, !wide), (false, wide), (false, !wide)]
            .into_iter()
            .find_map(|(signed, wide)| fits(signed, wide));
        match length {
            Some(length) => {
                self.start += length;
                Ok(())
            }
            None => Err(malformed("the end of an entry is not where it should be")),
        }
    }

    fn read_stored(&mut self, out: &mut [u8], left: u64) -> io::Result<usize> {
        let want = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let ready = self.peek(usize::from(want > 0))?;
        let count = want.min(ready.len());
        out[..count].copy_from_slice(&ready[..count]);
        self.start += count;
        if count == 0 && want > 0 {
            return Err(cut());
        }
        if let Some(entry) = &mut self.entry {
            entry.done += count as u64;
            entry.packed += count as u64;
        }
        Ok(count)
    }

    fn read_deflated(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let from = self.entry.as_ref().map_or(0, |entry| entry.packed);
        loop {
            let packed = self.entry.as_ref().map_or(0, |entry| entry.packed);
            if packed - from > BARREN_BYTES_MAX {
                return Err(malformed("deflated data stands for nothing"));
            }
            self.peek(1)?;
            let ready = &self.buffer[self.start..self.end];
            let step = inflate(&mut self.inflate, ready, out, MZFlush::None);
            self.start += step.bytes_consumed;
            if let Some(entry) = &mut self.entry {
                entry.packed += step.bytes_consumed as u64;
                entry.done += step.bytes_written as u64;
                entry.is_over = step.status == Ok(MZStatus::StreamEnd);
            }
            match step.status {
                Ok(MZStatus::StreamEnd) if step.bytes_written == 0 => {
                    self.end_entry()?;
                    return Ok(0);
                }
                Ok(_) if step.bytes_written > 0 => return Ok(step.bytes_written),
                Ok(_) | Err(miniz_oxide::MZError::Buf) if step.bytes_consumed > 0 => {}
                Ok(_) | Err(miniz_oxide::MZError::Buf) => return Err(cut()),
                Err(_) => return Err(malformed("deflated data makes no sense")),
            }
        }
    }
}

/// The content of the entry at hand, and nothing behind it.
impl Read for Archive<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(entry) = &self.entry else {
            return Ok(0);
        };
        if out.is_empty() {
            return Ok(0);
        }
        if entry.is_over {
            self.end_entry()?;
            return Ok(0);
        }
        if entry.is_deflated {
            return self.read_deflated(out);
        }
        let Some(size) = entry.size else {
            return Err(malformed("stored data of unknown length"));
        };
        if entry.done == size {
            self.end_entry()?;
            return Ok(0);
        }
        let left = size - entry.done;
        self.read_stored(out, left)
    }
}

/// Data that was passed over: how much, and its checksum.
#[derive(Clone, Copy, Default)]
struct Passed {
    bytes: u64,
    crc: Crc32,
}

impl Passed {
    fn take(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        self.crc.update(data);
    }

    /// The length of the descriptor that ends `rest`, if one does that fits what was passed and
    /// what of `rest` lies before it.
    fn descriptor_at_the_end_of(&self, rest: &[u8]) -> Option<usize> {
        [(true, 4), (false, 4), (true, 8), (false, 8)]
            .into_iter()
            .find_map(|(is_signed, bytes)| {
                let from = if is_signed { 4 } else { 0 };
                let length = from + 4 + 2 * bytes;
                let (data, descriptor) = rest.split_at(rest.len().checked_sub(length)?);
                let mut whole = *self;
                whole.take(data);
                let size = if bytes == 4 {
                    whole.bytes & u64::from(u32::MAX)
                } else {
                    whole.bytes
                };
                let is_marked = number(descriptor, 0, 4) == Some(u64::from(DESCRIPTOR));
                let fits = (!is_signed || is_marked)
                    && number(descriptor, from, 4) == Some(u64::from(whole.crc.sum()))
                    && number(descriptor, from + 4, bytes) == Some(size)
                    && number(descriptor, from + 4 + bytes, bytes) == Some(size);
                fits.then_some(length)
            })
    }
}

/// The checksum of APPNOTE 4.4.7, bit by bit, as it is passed through.
#[derive(Clone, Copy)]
struct Crc32(u32);

impl Default for Crc32 {
    fn default() -> Crc32 {
        Crc32(u32::MAX)
    }
}

/// What four bits do to it.
const CRC_STEPS: [u32; 16] = crc_steps();

const fn crc_steps() -> [u32; 16] {
    let mut steps = [0; 16];
    let mut at = 0;
    while at < 16 {
        let (mut step, mut bit) = (at as u32, 0);
        while bit < 4 {
            step = step >> 1 ^ if step & 1 == 1 { 0xedb8_8320 } else { 0 };
            bit += 1;
        }
        steps[at] = step;
        at += 1;
    }
    steps
}

impl Crc32 {
    fn update(&mut self, data: &[u8]) {
        for byte in data {
            for nibble in [byte & 15, byte >> 4] {
                let at = (self.0 ^ u32::from(nibble)) & 15;
                self.0 = self.0 >> 4 ^ CRC_STEPS[at as usize];
            }
        }
    }

    fn sum(self) -> u32 {
        !self.0
    }
}

/// Whether an entry, or what comes after the last one, begins here.
fn is_next_part(bytes: &[u8], at: usize) -> bool {
    let found = number(bytes, at, 4);
    let is = |signature: &u32| found == Some(u64::from(*signature));
    is(&ENTRY) || DIRECTORY.iter().any(is)
}

/// A little-endian number of up to 8 bytes.
fn number(bytes: &[u8], at: usize, count: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + count)?;
    let digits = bytes.iter().rev();
    Some(digits.fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// The uncompressed size in the zip64 extra field, if there is one.
fn wide_sizes(mut extra: &[u8]) -> Option<u64> {
    while let (Some(id), Some(length)) = (number(extra, 0, 2), number(extra, 2, 2)) {
        if id == 1 {
            return Some(number(extra, 4, 8).unwrap_or(0));
        }
        extra = extra.get(4 + usize::try_from(length).ok()?..)?;
    }
    None
}

/// An archive that can be read and is not worth it.
fn too_long() -> io::Error {
    let text = "an entry is longer than is worth reading";
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("zip archive: {text}"))
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "zip archive: it broke off")
}
