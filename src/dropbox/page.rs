//! `ListFolderResult`, read as a stream: a page of 2,000 entries is never held in memory.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::core::remote::Cursor;
use crate::dropbox::wire::Metadata;

/// LIMIT: bytes one entry, or all that is no entry, may take: parsing holds them in memory. The
/// longest paths and names Dropbox takes need a tenth of it.
const PIECE_BYTES_MAX: u64 = 256 * 1024;

/// What a page says besides its entries.
#[derive(Debug, PartialEq, Eq)]
pub struct PageEnd {
    /// Where the next page, or the next changes, begin.
    pub cursor: Cursor,
    /// Whether another page is waiting already.
    pub has_more: bool,
}

/// Takes entries as they arrive; its error ends the reading.
pub type Sink<'a, E> = dyn FnMut(Metadata) -> Result<(), E> + 'a;

/// How reading a page can fail.
#[derive(Debug)]
pub enum PageError<E> {
    /// The body is cut short or is no such page.
    Malformed(serde_json::Error),
    /// The sink gave up.
    Sink(E),
}

/// Reads one page, handing each entry to `sink` in order.
pub fn read_page<E>(body: impl Read, sink: &mut Sink<'_, E>) -> Result<PageEnd, PageError<E>> {
    let mut failed = None;
    let room = Cell::new(PIECE_BYTES_MAX);
    let seed = PageSeed {
        sink,
        failed: &mut failed,
        room: &room,
    };
    let body = Metered { body, room: &room };
    let buffered = io::BufReader::with_capacity(16 * 1024, body);
    let mut json = serde_json::Deserializer::from_reader(buffered);
    let end = seed
        .deserialize(&mut json)
        .and_then(|end| json.end().map(|()| end));
    match (failed, end) {
        (Some(error), _) => Err(PageError::Sink(error)),
        (None, Ok(end)) => Ok(end),
        (None, Err(error)) => Err(PageError::Malformed(error)),
    }
}

/// A body that ends with an error when a piece of it is too large.
struct Metered<'m, R> {
    body: R,
    room: &'m Cell<u64>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.room.get()).unwrap_or(usize::MAX);
        if room == 0 {
            return Err(io::Error::other("a part of it is larger than 256 KiB"));
        }
        let most = buffer.len().min(room);
        let count = self.body.read(&mut buffer[..most])?;
        self.room.set(self.room.get() - count as u64);
        Ok(count)
    }
}

struct PageSeed<'s, 'a, E> {
    sink: &'s mut Sink<'a, E>,
    failed: &'s mut Option<E>,
    room: &'s Cell<u64>,
}

impl<'de, E> DeserializeSeed<'de> for PageSeed<'_, '_, E> {
    type Value = PageEnd;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<PageEnd, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, E> Visitor<'de> for PageSeed<'_, '_, E> {
    type Value = PageEnd;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page of a listing")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PageEnd, A::Error> {
        let (mut cursor, mut has_more, mut listed) = (None, None, false);
        while let Some(field) = map.next_key::<String>()? {
            let again = match field.as_str() {
                "entries" => listed,
                "cursor" => cursor.is_some(),
                "has_more" => has_more.is_some(),
                _ => false,
            };
            if again {
                return Err(serde::de::Error::custom("a field is given twice"));
            }
            match field.as_str() {
                "entries" => {
                    let sink = &mut *self.sink;
                    map.next_value_seed(EntriesSeed {
                        sink,
                        failed: &mut *self.failed,
                        room: self.room,
                    })?;
                    listed = true;
                }
                "cursor" => cursor = Some(map.next_value()?),
                "has_more" => has_more = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        match (cursor, has_more, listed) {
            (Some(cursor), Some(has_more), true) => Ok(PageEnd { cursor, has_more }),
            _ => Err(serde::de::Error::custom(
                "entries, cursor or has_more is missing",
            )),
        }
    }
}

struct EntriesSeed<'s, 'a, E> {
    sink: &'s mut Sink<'a, E>,
    failed: &'s mut Option<E>,
    room: &'s Cell<u64>,
}

impl<'de, E> DeserializeSeed<'de> for EntriesSeed<'_, '_, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, E> Visitor<'de> for EntriesSeed<'_, '_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element::<Metadata>()? {
            self.room.set(PIECE_BYTES_MAX);
            if let Err(error) = (self.sink)(entry) {
                *self.failed = Some(error);
                return Err(serde::de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(json: &str) -> Result<(Vec<String>, PageEnd), String> {
        let mut names = Vec::new();
        let end = read_page::<()>(json.as_bytes(), &mut |entry| {
            names.push(match entry {
                Metadata::File(file) => file.name,
                Metadata::Folder(folder) => folder.name,
                Metadata::Deleted(deleted) => format!("-{}", deleted.name),
                Metadata::Other(other) => format!("?{}", other.tag),
            });
            Ok(())
        });
        end.map(|end| (names, end))
            .map_err(|error| format!("{error:?}"))
    }

    const FILE: &str = r#"{".tag":"file","name":"a","path_lower":"/a","path_display":"/a",
        "id":"id:1","client_modified":"2026-01-01T00:00:00Z","rev":"012345678","size":1,
        "server_modified":"2026-01-01T00:00:00Z","is_downloadable":true}"#;

    #[test]
    fn entries_arrive_in_order_whatever_the_order_of_the_fields() {
        let page = format!(
            r#"{{"has_more":true,"new_field":[1],"entries":[{FILE},
            {{".tag":"folder","name":"f","id":"id:2","path_lower":"/f"}},
            {{".tag":"deleted","name":"d","path_lower":"/d"}},{{".tag":"wormhole","x":1}}],
            "cursor":"c"}}"#
        );
        let (seen, end) = names(&page).unwrap();
        assert_eq!(seen, ["a", "f", "-d", "?wormhole"]);
        assert_eq!(
            end,
            PageEnd {
                cursor: Cursor::from("c".to_owned()),
                has_more: true
            }
        );
    }

    #[test]
    fn a_page_cut_anywhere_is_no_page() {
        let page = format!(r#"{{"entries":[{FILE}],"cursor":"c","has_more":false}}"#);
        for length in 0..page.len() {
            assert!(names(&page[..length]).is_err(), "cut at {length}");
        }
        for other in [
            "<html></html>",
            "null",
            "{}",
            r#"{"cursor":"c","has_more":false}"#,
        ] {
            assert!(names(other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_page_of_any_size_is_read_but_no_part_larger_than_memory_allows() {
        let entries = vec![FILE; 3000].join(",");
        let page = format!(r#"{{"entries":[{entries}],"cursor":"c","has_more":false}}"#);
        assert_eq!(names(&page).unwrap().0.len(), 3000);
        /// Endless text, and how much of it was asked for.
        struct Endless<'a>(&'a [u8], &'a Cell<u64>);
        impl Read for Endless<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = match self.0.read(buffer)? {
                    0 => io::repeat(b'[').read(buffer)?,
                    count => count,
                };
                self.1.set(self.1.get() + count as u64);
                Ok(count)
            }
        }
        for start in [
            r#"{"cursor":""#,
            r#"{"entries":[{"name":""#,
            r#"{"x":"#,
            r#"{""#,
        ] {
            let read = Cell::new(0);
            let answer = read_page::<()>(Endless(start.as_bytes(), &read), &mut |_| Ok(()));
            assert!(matches!(answer, Err(PageError::Malformed(_))), "{start}");
            assert!(read.get() <= PIECE_BYTES_MAX, "{start}: {}", read.get());
        }
        let twice = r#"{"entries":[],"cursor":"c","cursor":"d","has_more":false}"#;
        assert!(names(twice).is_err());
    }

    #[test]
    fn the_sink_can_stop_the_reading() {
        let page = format!(r#"{{"entries":[{FILE},{FILE}],"cursor":"c","has_more":false}}"#);
        let answer = read_page(page.as_bytes(), &mut |_| Err("enough"));
        assert!(matches!(answer, Err(PageError::Sink("enough"))));
    }
}
