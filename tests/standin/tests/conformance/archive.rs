//! `files/download_zip`: what is in an archive, and which ones are refused.

use std::collections::BTreeMap;

use dropbox_standin::{
    Delivery, Effect, Endpoint, Fault, Folders, Packing, Response, Sizes, When, ZipLimits, ZipStyle,
};
use serde_json::{Value, json};

use crate::verbs::{Client, client, request, told};

fn ask(client: &Client, path: &str) -> Response {
    let bearer = format!("Bearer {}", client.token);
    let arg = json!({ "path": path }).to_string();
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Dropbox-API-Arg", arg.as_str()),
    ];
    let target = "/2/files/download_zip";
    client
        .standin
        .handle(request(Endpoint::Content, target, &headers, b""))
}

fn filled() -> Client {
    let client = client();
    client
        .standin
        .put_at("/Top/Gate/Items.items", b"Switch", "2024-05-06T07:08:10Z");
    client
        .standin
        .put("/Top/Gate/sub/Gr\u{fc}n", &vec![b'x'; 100_000]);
    client.standin.put("/Top/Gate/nil", b"");
    client.standin.mkdir("/Top/Gate/Empty");
    client.standin.put("/Top/Gate 2", b"not in it");
    client
}

/// What an archive holds, read by its central directory; folders as `None`.
struct Archive {
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    flags: u16,
    method: u16,
    time: u16,
    date: u16,
    crc: u32,
    packed: usize,
    size: usize,
    offset: usize,
}

impl Archive {
    fn number(&self, at: usize, width: usize) -> usize {
        let bytes = self.bytes[at..at + width].iter().rev();
        bytes.fold(0, |sum, &byte| sum << 8 | usize::from(byte))
    }

    fn short(&self, at: usize) -> u16 {
        self.number(at, 2) as u16
    }

    fn entries(&self) -> Vec<Entry> {
        let end = self.bytes.len() - 22;
        assert_eq!(self.number(end, 4), 0x0605_4b50);
        let (mut count, mut at) = (self.number(end + 10, 2), self.number(end + 16, 4));
        if at == 0xffff_ffff {
            assert_eq!(self.number(end - 20, 4), 0x0706_4b50);
            let wide_end = self.number(end - 12, 8);
            assert_eq!(self.number(wide_end, 4), 0x0606_4b50);
            (count, at) = (self.number(wide_end + 32, 8), self.number(wide_end + 48, 8));
        }
        let read = |_| {
            assert_eq!(self.number(at, 4), 0x0201_4b50);
            let (name, extra) = (self.number(at + 28, 2), self.number(at + 30, 2));
            let mut sizes = [
                self.number(at + 24, 4),
                self.number(at + 20, 4),
                self.number(at + 42, 4),
            ];
            if sizes[0] == 0xffff_ffff {
                let wide = at + 46 + name;
                assert_eq!(self.number(wide, 2), 1);
                sizes = [4, 12, 20].map(|field| self.number(wide + field, 8));
            }
            let entry = Entry {
                name: String::from_utf8(self.bytes[at + 46..at + 46 + name].to_vec()).unwrap(),
                flags: self.short(at + 8),
                method: self.short(at + 10),
                time: self.short(at + 12),
                date: self.short(at + 14),
                crc: self.number(at + 16, 4) as u32,
                size: sizes[0],
                packed: sizes[1],
                offset: sizes[2],
            };
            at += 46 + name + extra;
            entry
        };
        (0..count).map(read).collect()
    }

    /// The contents of an entry; checks what stands before and after the data as well.
    fn contents(&self, entry: &Entry, sizes: Sizes, zip64: bool) -> Vec<u8> {
        let at = entry.offset;
        assert_eq!(self.number(at, 4), 0x0403_4b50);
        assert_eq!(self.short(at + 6), entry.flags);
        let (name, extra) = (self.number(at + 26, 2), self.number(at + 28, 2));
        assert_eq!(&self.bytes[at + 30..at + 30 + name], entry.name.as_bytes());
        let data = at + 30 + name + extra;
        let follows = entry.flags & 8 != 0;
        let known = self.number(at + 14, 4);
        assert_eq!(known, if follows { 0 } else { entry.crc as usize });
        if follows {
            let mut after = data + entry.packed;
            if sizes == Sizes::Descriptor {
                assert_eq!(self.number(after, 4), 0x0807_4b50);
                after += 4;
            }
            let width = if zip64 { 8 } else { 4 };
            assert_eq!(self.number(after, 4), entry.crc as usize);
            assert_eq!(self.number(after + 4, width), entry.packed);
            assert_eq!(self.number(after + 4 + width, width), entry.size);
        }
        let packed = &self.bytes[data..data + entry.packed];
        if entry.method == 0 {
            return packed.to_vec();
        }
        miniz_oxide::inflate::decompress_to_vec(packed).unwrap()
    }
}

fn open(client: &Client, path: &str) -> Archive {
    let response = ask(client, path);
    assert_eq!(response.status, 200);
    Archive {
        bytes: response.body.to_vec(),
    }
}

fn names(archive: &Archive) -> Vec<String> {
    let entries = archive.entries().into_iter();
    entries.map(|entry| entry.name).collect()
}

#[test]
fn archive_has_the_folder_with_everything_in_real_case() {
    let client = filled();
    let response = ask(&client, "/top/gate");
    let result = response.header("Dropbox-API-Result").unwrap();
    let result: Value = serde_json::from_str(result).unwrap();
    assert_eq!(result["metadata"]["path_display"], "/Top/Gate");
    assert!(result["metadata"][".tag"].is_null());
    assert_eq!(response.header("Content-Type"), Some("application/zip"));
    assert_eq!(response.header("Transfer-Encoding"), Some("chunked"));
    let archive = open(&client, "/top/gate");
    let all = [
        "Gate/",
        "Gate/Empty/",
        "Gate/Items.items",
        "Gate/nil",
        "Gate/sub/",
        "Gate/sub/Gr\u{fc}n",
    ];
    assert_eq!(names(&archive), all);
    let items = &archive.entries()[2];
    assert_eq!((items.flags, items.method), (0x0808, 0));
    assert_eq!(
        (items.time, items.date),
        (7 << 11 | 8 << 5 | 5, 44 << 9 | 5 << 5 | 6)
    );
}

#[test]
fn every_style_holds_the_same() {
    let client = filled();
    let mut tried = 0;
    for packing in [Packing::Stored, Packing::Deflated, Packing::Alternating] {
        for sizes in [Sizes::Header, Sizes::Descriptor, Sizes::BareDescriptor] {
            for folders in [Folders::Absent, Folders::Empty, Folders::LikeFiles] {
                for bits in 0..4 {
                    let style = ZipStyle {
                        packing,
                        sizes,
                        folders,
                        zip64: bits & 1 != 0,
                        unix_times: bits & 2 != 0,
                        ..ZipStyle::default()
                    };
                    check(&client, style);
                    tried += 1;
                }
            }
        }
    }
    assert_eq!(tried, 108);
}

fn check(client: &Client, style: ZipStyle) {
    client.standin.set_zip_style(style);
    let archive = open(client, "/Top/Gate");
    let mut found = BTreeMap::new();
    for entry in archive.entries() {
        let bytes = archive.contents(&entry, style.sizes, style.zip64);
        assert_eq!(bytes.len(), entry.size, "{style:?}");
        found.insert(entry.name, bytes);
    }
    assert_eq!(found["Gate/Items.items"], b"Switch");
    assert_eq!(found["Gate/sub/Gr\u{fc}n"], vec![b'x'; 100_000]);
    assert_eq!(found["Gate/nil"], b"");
    let folders = found.keys().filter(|name| name.ends_with('/')).count();
    let expected = if style.folders == Folders::Absent {
        0
    } else {
        3
    };
    assert_eq!(folders, expected, "{style:?}");
}

#[test]
fn archive_can_look_like_those_of_the_web_site() {
    let client = filled();
    client.standin.set_zip_style(ZipStyle {
        top_folder: false,
        root_entry: true,
        folders: Folders::Absent,
        ..ZipStyle::default()
    });
    let archive = open(&client, "/Top/Gate");
    assert_eq!(
        names(&archive),
        ["/", "Items.items", "nil", "sub/Gr\u{fc}n"]
    );
}

#[test]
fn only_a_folder_that_is_small_enough_is_archived() {
    let client = filled();
    let summary = |path: &str| told(&ask(&client, path)).summary();
    assert_eq!(summary("/none"), "path/not_found");
    assert_eq!(summary("/Top/Gate/nil"), "path/not_folder");
    let rev = client.standin.rev("/Top/Gate/nil").unwrap();
    assert_eq!(summary(&format!("rev:{rev}")), "path/not_folder");
    assert!(told(&ask(&client, "")).refused().contains("pattern"));
    let limited = |limits: ZipLimits| {
        client.standin.change_habits(|it| it.zip_limits = limits);
        ask(&client, "/Top/Gate")
    };
    let limits = ZipLimits::default();
    let six = limited(ZipLimits {
        entries: 6,
        ..limits
    });
    assert_eq!(told(&six).summary(), "too_many_files");
    let seven = limited(ZipLimits {
        entries: 7,
        ..limits
    });
    assert_eq!(seven.status, 200);
    let file = limited(ZipLimits {
        file_bytes: 100_000,
        ..limits
    });
    assert_eq!(told(&file).summary(), "too_large");
    let folder = limited(ZipLimits {
        folder_bytes: 100_006,
        ..limits
    });
    assert_eq!(told(&folder).summary(), "too_large");
    let id = client
        .rpc("files/get_metadata", json!({"path": "/Top/Gate"}))
        .ok();
    client.standin.change_habits(|it| it.zip_limits = limits);
    assert_eq!(ask(&client, id["id"].as_str().unwrap()).status, 200);
}

#[test]
fn what_cannot_be_downloaded_is_left_out() {
    let client = filled();
    client.standin.set_not_downloadable("/Top/Gate/nil");
    client.standin.set_restricted("/Top/Gate/Items.items");
    let archive = open(&client, "/Top/Gate");
    let left = ["Gate/", "Gate/Empty/", "Gate/sub/", "Gate/sub/Gr\u{fc}n"];
    assert_eq!(names(&archive), left);
}

#[test]
fn archive_can_be_damaged_or_cut_on_the_way_down() {
    let client = filled();
    let whole = ask(&client, "/Top/Gate").body.to_vec();
    let struck = |effect| {
        client.standin.clear_faults();
        client
            .standin
            .inject(Fault::new("files/download_zip", When::Always, effect));
        ask(&client, "/Top/Gate")
    };
    let damaged = struck(Effect::Corrupt(40)).body.to_vec();
    let differing = whole.iter().zip(&damaged).filter(|(old, new)| old != new);
    assert_eq!((damaged.len(), differing.count()), (whole.len(), 1));
    let cut = struck(Effect::Truncate(40));
    assert_eq!(cut.delivery, Delivery::Cut(40));
    assert_eq!(struck(Effect::CutAfter).delivery, Delivery::NoAnswer);
    assert_eq!(
        told(&struck(Effect::Status(503, String::new()))).status,
        503
    );
}
