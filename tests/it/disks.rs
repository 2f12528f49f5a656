//! What a [`Disk`] promises, verb by verb: held by the kernel's, with `openat2` and without it, and
//! by the one in memory on which the crash tests and the simulator believe it.
//!
//! Where they differ the kernel is right. Not told here, because a directory cannot show it: what a
//! sync makes durable (`sim/medium.rs`, and power cuts in `tests/system`), and filesystems mounted
//! below the root. In memory a fifo, a socket and a device are one thing, a link leads nowhere, and
//! a name with U+FFFD stands for one that is not UTF-8.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use ferrybox::core::path::RelPath;
use ferrybox::io::RealDisk;
use ferrybox::io::disk::{Access, Disk, ReadFile};
use ferrybox::io::stat::{AccessList, FileAccess, Kind, Rights, SpecialKind, Stamp, Status};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use crate::sim::disk::SimDisk;
use crate::sim::seam::Seam;
use crate::world::{Hands, TempDir};

/// A disk, and what somebody else does to the same tree.
struct Ground {
    disk: Box<dyn Disk>,
    hands: Hands,
    /// The clock of a disk in memory.
    seam: Option<Seam>,
}

/// Holds each disk to the same claims.
fn on_all(claims: impl Fn(&Ground)) {
    // On the filesystem of temporary files, and on one in memory.
    let temp_dir = TempDir::inside(&std::env::temp_dir());
    for (temp, has_openat2) in [(temp_dir, true), (TempDir::new(), false)] {
        println!("the kernel's disk, openat2: {has_openat2}");
        let disk = RealDisk::open(temp.path()).unwrap();
        let disk = match has_openat2 {
            true => disk,
            false => disk.without_openat2(),
        };
        claims(&Ground {
            disk: Box::new(disk),
            hands: Hands::Real(temp.path().to_owned()),
            seam: None,
        });
    }
    println!("the disk in memory");
    let seam = Seam::default();
    let disk = SimDisk::new("content", &seam);
    claims(&Ground {
        disk: Box::new(disk.clone()),
        hands: Hands::Sim(disk),
        seam: Some(seam),
    });
}

/// The same where permission bits count, for root as well: a thread has its own capabilities.
fn on_all_as_anybody(claims: impl Fn(&Ground) + Send + 'static) {
    let anybody = std::thread::spawn(move || {
        let held = capabilities(None).unwrap();
        let overrides = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        let left = CapabilitySets {
            effective: held.effective - overrides,
            ..held
        };
        set_capabilities(None, left).unwrap();
        on_all(claims);
    });
    if let Err(panic) = anybody.join() {
        std::panic::resume_unwind(panic);
    }
}

impl Ground {
    /// The clocks of files move on.
    fn pass_time(&self) {
        match &self.seam {
            Some(seam) => seam.pass_time(20_000_000),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }

    /// A name that is not UTF-8.
    fn put_odd(&self) {
        match &self.hands {
            Hands::Real(dir) => fs::write(dir.join(OsStr::from_bytes(b"odd\xff")), "").unwrap(),
            Hands::Sim(disk) => disk.put("odd\u{fffd}", b""),
        }
    }

    #[track_caller]
    fn status(&self, path: &str) -> Status {
        self.disk.status(&at(path)).unwrap().expect(path)
    }

    fn stamp(&self, path: &str) -> Stamp {
        self.status(path).stamp
    }

    fn is_there(&self, path: &str) -> bool {
        self.disk.status(&at(path)).unwrap().is_some()
    }

    /// A file made through the disk.
    fn create(&self, path: &str, content: &[u8]) {
        let mut file = self.disk.create(&at(path), Access::Shared).unwrap();
        file.write_all(content).unwrap();
    }

    #[track_caller]
    fn content(&self, path: &str) -> String {
        let mut text = String::new();
        let mut file = self.disk.open(&at(path)).unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    fn names(&self, dir: &str) -> Vec<String> {
        let listing = self.disk.list(&at(dir)).unwrap();
        let mut names: Vec<String> = listing.names.iter().map(str::to_owned).collect();
        names.sort();
        names
    }
}

fn at(path: &str) -> RelPath {
    RelPath::parse(path).unwrap()
}

/// Why a call was refused, whatever the text says.
#[track_caller]
fn why_any<T>(path: &str, result: io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("{path}: it was done"),
        Err(error) => error.kind(),
    }
}

/// Why a call was refused; the text names what was to be done, and the path.
#[track_caller]
fn why<T>(path: &str, result: io::Result<T>) -> ErrorKind {
    let Err(error) = result else {
        panic!("{path}: it was done");
    };
    let text = error.to_string();
    assert!(text.starts_with("cannot "), "{text}");
    assert!(text.contains(path), "{path}: {text}");
    error.kind()
}

#[test]
fn the_root_is_a_folder_like_any_other() {
    on_all(|on| {
        let root = on.disk.root().unwrap();
        assert_eq!(root.kind, Kind::Folder);
        assert_eq!(on.status(""), root);
        assert_eq!(on.names(""), [""; 0]);
        on.hands.put("d/f", b"f");
        assert_eq!(on.status("d").device, root.device);
        assert_eq!(on.status("d/f").device, root.device);
        assert_ne!(on.stamp("d").inode, root.stamp.inode);
    });
}

#[test]
fn a_listing_has_every_name_of_its_directory_and_no_other() {
    on_all(|on| {
        let mut wanted: Vec<String> = (0..1500).map(|i| format!("d{i}")).collect();
        // Names that another system would take for one, and such as tempt parsers.
        for name in [
            "a",
            "A",
            "\u{e4}",
            "a\u{308}",
            ".hidden",
            "...",
            " ",
            "-rf",
            "a\\b",
            "new\nline",
            "\u{1f600}",
            "\u{7f}",
        ] {
            wanted.push(name.to_owned());
        }
        wanted.push("n".repeat(255));
        wanted.sort();
        for name in &wanted {
            on.hands.put(&format!("dir/{name}"), b"");
        }
        on.hands.put("dir/d0~/below", b"");
        on.hands.remove("dir/d0~");
        on.hands.put("beside", b"");
        assert_eq!(on.names("dir"), wanted);
    });
}

#[test]
fn names_that_are_not_utf8_are_told_apart() {
    on_all(|on| {
        on.put_odd();
        on.hands.put("even", b"");
        let listing = on.disk.list(&at("")).unwrap();
        let [odd] = &listing.not_utf8[..] else {
            panic!("{:?}", listing.not_utf8)
        };
        assert_eq!(odd.shown, "odd\u{fffd}");
        assert_eq!(odd.status.unwrap().kind, Kind::File);
        assert_eq!(listing.names.iter().collect::<Vec<_>>(), ["even"]);
    });
}

#[test]
fn what_is_no_directory_cannot_be_listed() {
    on_all(|on| {
        on.hands.put("f", b"");
        on.hands.link("f", "link");
        assert_eq!(why("gone", on.disk.list(&at("gone"))), ErrorKind::NotFound);
        let no_dir = ErrorKind::NotADirectory;
        assert_eq!(
            why("gone/x", on.disk.list(&at("gone/x"))),
            ErrorKind::NotFound
        );
        assert_eq!(why("f", on.disk.list(&at("f"))), no_dir);
        assert_eq!(why("f/x", on.disk.list(&at("f/x"))), no_dir);
        why("link", on.disk.list(&at("link")));
    });
}

#[test]
fn a_listed_directory_is_looked_into_whatever_becomes_of_its_path() {
    on_all(|on| {
        on.hands.put("d/f", b"12345");
        on.hands.mkdir("d/sub");
        on.hands.link("f", "d/link");
        let listing = on.disk.list(&at("d")).unwrap();
        let look = |name: &str| listing.handle.status(name).unwrap();
        assert_eq!(look("f"), Some(on.status("d/f")));
        assert_eq!(look("sub").unwrap().kind, Kind::Folder);
        assert_eq!(look("link").unwrap().kind, Kind::Link);
        assert_eq!(look("gone"), None);
        on.hands.rename("d", "moved");
        on.hands.put("d/f", b"another");
        assert_eq!(look("f").unwrap().stamp.size, 5);
        on.hands.remove("moved");
        assert_eq!(look("f"), None);
    });
}

#[test]
fn status_tells_files_folders_and_all_else_apart() {
    on_all(|on| {
        on.hands.put("d/f", b"123");
        on.hands.link("d/f", "to a file");
        on.hands.link("d", "to a folder");
        on.hands.link("nowhere", "to nothing");
        on.hands.set_mode("d/f", 0o640);
        let file = on.status("d/f");
        assert_eq!(
            (file.kind, file.stamp.size, file.mode),
            (Kind::File, 3, 0o640)
        );
        assert_eq!(on.status("d").kind, Kind::Folder);
        for link in ["to a file", "to a folder", "to nothing"] {
            assert_eq!(on.status(link).kind, Kind::Link, "{link}");
        }
        on.hands.make_socket("socket");
        assert_eq!(on.status("socket").kind, Kind::Special(SpecialKind::Socket));
    });
}

#[test]
fn nothing_is_there_only_where_it_is_known() {
    on_all(|on| {
        on.hands.put("f", b"");
        on.hands.link("f", "link");
        assert_eq!(on.disk.status(&at("gone")).unwrap(), None);
        assert_eq!(on.disk.status(&at("gone/x/y")).unwrap(), None);
        let below = on.disk.status(&at("f/x"));
        assert_eq!(why("f/x", below), ErrorKind::NotADirectory);
        why("link/x", on.disk.status(&at("link/x")));
    });
}

#[test]
fn a_stamp_shows_every_change_of_a_file() {
    on_all(|on| {
        on.hands.put("f", b"1");
        let mut before = on.stamp("f");
        let mut changed = |what: &str, change: &dyn Fn()| {
            on.pass_time();
            change();
            let now = on.stamp("f");
            let times = (
                now.mtime_ns > before.mtime_ns,
                now.ctime_ns > before.ctime_ns,
            );
            let is_same = now.inode == before.inode;
            before = now;
            (what.to_owned(), times, is_same)
        };
        let seen = [
            changed("written in place", &|| on.hands.put("f", b"2")),
            changed("appended to", &|| on.hands.append("f", b"3")),
            changed("mode", &|| on.hands.set_mode("f", 0o600)),
            changed("renamed", &|| {
                on.hands.rename("f", "g");
                on.hands.rename("g", "f");
            }),
        ];
        let wanted = [
            ("written in place", (true, true), true),
            ("appended to", (true, true), true),
            ("mode", (false, true), true),
            ("renamed", (false, true), true),
        ];
        let wanted = wanted.map(|(what, times, is_same)| (what.to_owned(), times, is_same));
        assert_eq!(seen, wanted);
        // Whatever the clock says it was.
        on.hands.put("new", b"2");
        let before = on.stamp("f");
        on.hands.rename("new", "f");
        assert_ne!(on.stamp("f").inode, before.inode);
    });
}

#[test]
fn the_stamp_of_a_directory_shows_what_comes_and_goes() {
    on_all(|on| {
        on.hands.put("d/f", b"1");
        let before = on.stamp("d");
        on.pass_time();
        on.hands.append("d/f", b"2");
        assert_eq!(on.stamp("d"), before);
        on.hands.put("d/g", b"");
        assert!(on.stamp("d").mtime_ns > before.mtime_ns);
    });
}

#[test]
fn an_open_file_is_read_from_where_it_is_wanted() {
    on_all(|on| {
        on.hands.put("f", b"0123456789");
        let mut file = on.disk.open(&at("f")).unwrap();
        assert_eq!(file.status().unwrap(), on.status("f"));
        let mut rest = |offset: u64| {
            file.seek(offset).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!(rest(0), "0123456789");
        assert_eq!(rest(7), "789");
        assert_eq!(rest(10), "");
        assert_eq!(rest(1 << 40), "");
        assert_eq!(rest(3), "3456789");
    });
}

#[test]
fn an_open_file_stays_the_one_that_was_opened() {
    on_all(|on| {
        on.hands.put("f", b"old");
        let before = on.stamp("f");
        let mut file = on.disk.open(&at("f")).unwrap();
        on.hands.put("new", b"another");
        on.hands.rename("new", "f");
        let read = |file: &mut dyn Read| {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!(read(&mut *file), "old");
        assert_eq!(file.status().unwrap().stamp.inode, before.inode);
        let mut file = on.disk.open(&at("f")).unwrap();
        on.hands.append("f", b" grown");
        assert_eq!(file.status().unwrap().stamp.size, 13);
        on.hands.remove("f");
        assert_eq!(read(&mut *file), "another grown");
    });
}

#[test]
fn only_regular_files_are_opened() {
    on_all(|on| {
        on.hands.put("f", b"");
        on.hands.mkdir("d");
        on.hands.link("f", "link");
        let open = |path: &str| why(path, on.disk.open(&at(path)));
        assert_eq!(open("gone"), ErrorKind::NotFound);
        assert_eq!(open("gone/x"), ErrorKind::NotFound);
        assert_eq!(open("f/x"), ErrorKind::NotADirectory);
        for odd in ["d", "link", "link/x"] {
            assert_ne!(open(odd), ErrorKind::NotFound, "{odd}");
        }
    });
}

#[test]
fn a_new_file_is_there_at_once_and_stays_when_it_is_dropped() {
    on_all(|on| {
        on.hands.mkdir("d");
        let mut file = on.disk.create(&at("d/f"), Access::Shared).unwrap();
        assert_eq!(on.stamp("d/f").size, 0);
        file.write_all(b"123").unwrap();
        assert_eq!(on.content("d/f"), "123");
        file.write_all(b"45").unwrap();
        assert_eq!(file.status().unwrap(), on.status("d/f"));
        drop(file);
        assert_eq!(on.content("d/f"), "12345");
    });
}

#[test]
fn a_private_file_is_its_owners_only_from_the_start() {
    on_all(|on| {
        let private = on.disk.create(&at("private"), Access::Private).unwrap();
        assert_eq!(private.status().unwrap().mode, 0o600);
        let shared = on.disk.create(&at("shared"), Access::Shared).unwrap();
        let mode = shared.status().unwrap().mode;
        // What is left depends on the umask.
        assert_eq!((mode & 0o600, mode & !0o666), (0o600, 0), "{mode:o}");
    });
}

#[test]
fn nothing_is_created_over_what_is_there_or_below_what_is_not() {
    on_all(|on| {
        on.hands.put("f", b"kept");
        on.hands.mkdir("d");
        on.hands.link("nowhere", "link");
        let create = |path: &str| why(path, on.disk.create(&at(path), Access::Shared));
        for taken in ["f", "d", "link"] {
            assert_eq!(create(taken), ErrorKind::AlreadyExists, "{taken}");
        }
        assert_eq!(create("gone/f"), ErrorKind::NotFound);
        assert_eq!(create("f/f"), ErrorKind::NotADirectory);
        create("link/f");
        assert_eq!(on.content("f"), "kept");
    });
}

#[test]
fn mode_and_time_of_a_new_file_are_as_they_were_set() {
    on_all(|on| {
        let mut file = on.disk.create(&at("f"), Access::Private).unwrap();
        file.write_all(b"f").unwrap();
        // Bits beyond the nine are not for us to set.
        let now = file.status().unwrap();
        let rights = Rights {
            mode: 0o4750,
            uid: now.uid,
            gid: now.gid,
        };
        let wanted = FileAccess {
            list: AccessList::AsMade,
            ..FileAccess::only(rights)
        };
        file.set_access(&wanted).unwrap();
        assert_eq!(on.status("f").mode, 0o750);
        // 1969, and beyond what 32 bits of seconds can tell.
        for seconds in [0, -86_400, 1_750_000_000, 4_500_000_000] {
            file.set_mtime(seconds).unwrap();
            assert_eq!(on.stamp("f").mtime_ns, seconds * 1_000_000_000);
        }
        on.pass_time();
        let before = on.stamp("f");
        file.set_mtime(1_750_000_000).unwrap();
        assert!(on.stamp("f").ctime_ns > before.ctime_ns);
        file.write_all(b"g").unwrap();
        assert!(on.stamp("f").mtime_ns != 1_750_000_000_000_000_000);
        file.sync().unwrap();
    });
}

#[test]
fn a10_access_is_handed_over_as_it_is_at_that_moment() {
    on_all(|on| {
        on.hands.put("old", b"old");
        let new = on.disk.create(&at("new"), Access::Private).unwrap();
        let new = RefCell::new(new);
        let hand_over = || {
            let old = on.disk.access(&at("old"))?;
            new.borrow_mut().set_access(&old)
        };
        for mode in [0o640, 0o600, 0o444, 0o4755] {
            on.hands.set_mode("old", mode);
            hand_over().unwrap();
            assert_eq!(on.status("new").mode, mode & 0o777, "{mode:o}");
        }
        if on.hands.add_reader("old", 4711) {
            hand_over().unwrap();
            let list = on.hands.list("old");
            assert!(list.is_some());
            assert_eq!(on.hands.list("new"), list);
            assert_eq!(on.status("new").mode, 0o640);
        }
        // One without a list takes the other's away.
        on.hands.remove("old");
        on.hands.put("old", b"old");
        on.hands.set_mode("old", 0o604);
        hand_over().unwrap();
        assert_eq!(on.hands.list("new"), None);
        assert_eq!(on.status("new").mode, 0o604);
        on.hands.remove("old");
        assert_eq!(why("old", hand_over()), ErrorKind::NotFound);
    });
}

#[test]
fn s2_what_is_taken_up_is_read_from_the_start_and_written_at_the_end() {
    on_all(|on| {
        drop(on.disk.create(&at("f"), Access::Private).unwrap());
        on.hands.append("f", b"1");
        let mut file = on.disk.take_up(&at("f")).unwrap().unwrap();
        let mut start = [0; 1];
        file.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"1");
        file.write_all(b"2").unwrap();
        on.hands.append("f", b"3");
        file.write_all(b"4").unwrap();
        assert_eq!(ReadFile::status(&*file).unwrap(), on.status("f"));
        assert_eq!(on.content("f"), "1234");
        assert!(on.disk.take_up(&at("gone")).unwrap().is_none());
        assert!(!on.is_there("gone"));
    });
}

#[test]
fn s2_nothing_is_taken_up_but_a_file_of_ours_alone() {
    on_all(|on| {
        let own = |path: &str| drop(on.disk.create(&at(path), Access::Private).unwrap());
        own("f");
        on.hands.mkdir("d");
        on.hands.link("f", "link");
        on.hands.make_socket("socket");
        let take_up = |path: &str| why_any(path, on.disk.take_up(&at(path)));
        assert_eq!(take_up("f/x"), ErrorKind::NotADirectory);
        assert_eq!(take_up("d"), ErrorKind::IsADirectory);
        take_up("link");
        take_up("socket");
        for mode in [0o601, 0o640, 0o4600] {
            on.hands.set_mode("f", mode);
            take_up("f");
        }
        on.hands.set_mode("f", 0o600);
        assert!(on.disk.take_up(&at("f")).unwrap().is_some());
        own("linked");
        on.hands.hard_link("linked", "d/other name");
        take_up("linked");
        own("given");
        if on.hands.set_owner("given", 4711) {
            take_up("given");
        }
    });
}

#[test]
fn s1_a_file_with_another_name_is_given_to_nobody() {
    on_all(|on| {
        if !matches!(on.hands, Hands::Real(_)) || !rustix::process::geteuid().is_root() {
            return;
        }
        on.hands.put("old", b"old");
        on.hands.set_owner("old", 4711);
        let mut new = on.disk.create(&at("new"), Access::Private).unwrap();
        on.hands.hard_link("new", "elsewhere");
        let old = on.disk.access(&at("old")).unwrap();
        assert!(new.set_access(&old).is_err());
        assert!(new.set_owner(&old.rights).is_err());
        assert_eq!(on.hands.owner("elsewhere"), (0, 0));
        assert_eq!(on.hands.mode("elsewhere"), 0o600);
    });
}

#[test]
fn replace_puts_one_file_in_the_place_of_another() {
    on_all(|on| {
        on.hands.put("f", b"old");
        on.hands.put("d/new", b"new");
        on.pass_time();
        let new = on.stamp("d/new");
        on.disk.replace(&at("d/new"), &at("f")).unwrap();
        assert_eq!(on.content("f"), "new");
        let now = on.stamp("f");
        assert_eq!((now.inode, now.mtime_ns), (new.inode, new.mtime_ns));
        assert_eq!(on.names("d"), [""; 0]);
        // A free name will do, and its own.
        on.disk.replace(&at("f"), &at("d/g")).unwrap();
        on.disk.replace(&at("d/g"), &at("d/g")).unwrap();
        assert_eq!(
            (on.names(""), on.names("d")),
            (vec!["d".to_owned()], vec!["g".to_owned()])
        );
        // What is neither file nor folder goes like a file.
        on.hands.link("d/g", "link");
        on.disk.replace(&at("d/g"), &at("link")).unwrap();
        assert_eq!(on.content("link"), "new");
    });
}

#[test]
fn replace_takes_no_folder_for_a_file() {
    on_all(|on| {
        on.hands.put("f", b"kept");
        on.hands.put("full/f", b"kept");
        for empty in ["empty", "other", "full/d"] {
            on.hands.mkdir(empty);
        }
        let replace = |from: &str, to: &str| why(to, on.disk.replace(&at(from), &at(to)));
        assert_eq!(replace("f", "full"), ErrorKind::IsADirectory);
        assert_eq!(replace("f", "empty"), ErrorKind::IsADirectory);
        assert_eq!(replace("empty", "f"), ErrorKind::NotADirectory);
        assert_eq!(replace("empty", "full"), ErrorKind::DirectoryNotEmpty);
        assert_eq!(replace("full", "full/d/x"), ErrorKind::InvalidInput);
        assert_eq!(replace("full", "full/x"), ErrorKind::InvalidInput);
        assert_eq!(replace("full/f", "full"), ErrorKind::DirectoryNotEmpty);
        assert_eq!(replace("gone", "f"), ErrorKind::NotFound);
        assert_eq!(replace("f", "gone/f"), ErrorKind::NotFound);
        assert_eq!(replace("f", "f/x"), ErrorKind::NotADirectory);
        assert_eq!(
            (on.content("f"), on.content("full/f")),
            ("kept".into(), "kept".into())
        );
        // A folder takes the place of an empty one, as of none.
        on.disk.replace(&at("full"), &at("empty")).unwrap();
        on.disk.replace(&at("empty"), &at("new")).unwrap();
        assert_eq!(on.names(""), ["f", "new", "other"]);
        assert_eq!(on.names("new"), ["d", "f"]);
    });
}

#[test]
fn rename_new_replaces_nothing() {
    on_all(|on| {
        on.hands.put("f", b"f");
        on.hands.put("taken", b"kept");
        on.hands.mkdir("d");
        on.hands.mkdir("empty");
        on.hands.link("nowhere", "link");
        let rename = |from: &str, to: &str| why(to, on.disk.rename_new(&at(from), &at(to)));
        for taken in ["taken", "d", "link", "f"] {
            assert_eq!(rename("f", taken), ErrorKind::AlreadyExists, "{taken}");
        }
        assert_eq!(rename("d", "empty"), ErrorKind::AlreadyExists);
        assert_eq!(rename("gone", "x"), ErrorKind::NotFound);
        assert_eq!(rename("gone", "taken"), ErrorKind::NotFound);
        assert_eq!(rename("f", "gone/f"), ErrorKind::NotFound);
        assert_eq!(rename("f", "taken/f"), ErrorKind::NotADirectory);
        assert_eq!(rename("d", "d/x"), ErrorKind::InvalidInput);
        assert_eq!(
            (on.content("f"), on.content("taken")),
            ("f".into(), "kept".into())
        );
        let before = on.stamp("f").inode;
        on.disk.rename_new(&at("f"), &at("d/g")).unwrap();
        on.disk.rename_new(&at("d"), &at("e")).unwrap();
        assert_eq!(on.stamp("e/g").inode, before);
        assert_eq!(on.names(""), ["e", "empty", "link", "taken"]);
    });
}

#[test]
fn make_dir_makes_one_where_nothing_is() {
    on_all(|on| {
        on.hands.put("f", b"");
        on.hands.link("nowhere", "link");
        on.disk.make_dir(&at("d"), None).unwrap();
        on.disk.make_dir(&at("d/e"), None).unwrap();
        let made = on.status("d/e");
        assert_eq!((made.kind, made.mode & 0o700), (Kind::Folder, 0o700));
        let make = |path: &str| why(path, on.disk.make_dir(&at(path), None));
        for taken in ["d", "f", "link"] {
            assert_eq!(make(taken), ErrorKind::AlreadyExists, "{taken}");
        }
        assert_eq!(make("gone/d"), ErrorKind::NotFound);
        assert_eq!(make("f/d"), ErrorKind::NotADirectory);
        make("link/d");
        assert!(!on.is_there("gone"));
    });
}

#[test]
fn remove_file_removes_anything_but_a_folder() {
    on_all(|on| {
        on.hands.put("d/f", b"");
        on.hands.put("g", b"kept");
        on.hands.mkdir("empty");
        on.hands.link("g", "link");
        on.disk.remove_file(&at("d/f")).unwrap();
        on.disk.remove_file(&at("link")).unwrap();
        let remove = |path: &str| why(path, on.disk.remove_file(&at(path)));
        assert_eq!(remove("d/f"), ErrorKind::NotFound);
        assert_eq!(remove("gone/f"), ErrorKind::NotFound);
        assert_eq!(remove("empty"), ErrorKind::IsADirectory);
        assert_eq!(remove("g/x"), ErrorKind::NotADirectory);
        assert_eq!(on.names(""), ["d", "empty", "g"]);
        assert_eq!(on.names("d"), [""; 0]);
    });
}

#[test]
fn remove_dir_removes_an_empty_folder_only() {
    on_all(|on| {
        on.hands.put("full/f", b"");
        on.hands.put("f", b"");
        on.hands.mkdir("empty/below");
        on.hands.link("empty", "link");
        let remove = |path: &str| why(path, on.disk.remove_dir(&at(path)));
        assert_eq!(remove("full"), ErrorKind::DirectoryNotEmpty);
        assert_eq!(remove("empty"), ErrorKind::DirectoryNotEmpty);
        assert_eq!(remove("f"), ErrorKind::NotADirectory);
        assert_eq!(remove("link"), ErrorKind::NotADirectory);
        assert_eq!(remove("gone"), ErrorKind::NotFound);
        assert_eq!(remove("f/x"), ErrorKind::NotADirectory);
        on.disk.remove_dir(&at("empty/below")).unwrap();
        on.disk.remove_dir(&at("empty")).unwrap();
        assert_eq!(on.names(""), ["f", "full", "link"]);
    });
}

#[test]
fn directories_are_synced_and_asked_for_room_and_nothing_else_is() {
    on_all(|on| {
        on.hands.put("d/f", b"");
        for dir in ["", "d"] {
            on.disk.sync_dir(&at(dir)).unwrap();
            on.disk.sync_filesystem(&at(dir)).unwrap();
            let space = on.disk.space(&at(dir)).unwrap();
            assert!(space.free > 0 && space.free <= space.total, "{space:?}");
        }
        for (path, kind) in [
            ("gone", ErrorKind::NotFound),
            ("d/f", ErrorKind::NotADirectory),
            ("d/f/x", ErrorKind::NotADirectory),
        ] {
            assert_eq!(why(path, on.disk.sync_dir(&at(path))), kind);
            assert_eq!(why(path, on.disk.sync_filesystem(&at(path))), kind);
            assert_eq!(why(path, on.disk.space(&at(path))), kind);
        }
    });
}

#[test]
fn the_lock_is_held_by_one_until_it_is_dropped() {
    on_all(|on| {
        let other: Box<dyn Disk> = match &on.hands {
            Hands::Real(dir) => Box::new(RealDisk::open(dir).unwrap()),
            Hands::Sim(disk) => Box::new(disk.clone()),
        };
        let held = on.disk.lock().unwrap();
        assert!(held.is_some());
        assert!(on.disk.lock().unwrap().is_none());
        assert!(other.lock().unwrap().is_none());
        drop(held);
        assert!(other.lock().unwrap().is_some());
        assert!(on.disk.lock().unwrap().is_some(), "nobody kept it");
    });
}

#[test]
fn a_small_file_is_read_whole_and_a_large_one_cut() {
    on_all(|on| {
        on.hands.put("small", b"bytes");
        on.hands.put("large", &vec![b'x'; (1 << 20) + 1]);
        on.hands.mkdir("d");
        let read = |path: &str| on.disk.read(&at(path));
        assert_eq!(read("gone").unwrap(), None);
        assert_eq!(read("gone/x").unwrap(), None);
        assert_eq!(read("small").unwrap().unwrap(), b"bytes");
        assert_eq!(read("large").unwrap().unwrap().len(), 1 << 20);
        why("d", read("d"));
        assert_eq!(why("small/x", read("small/x")), ErrorKind::NotADirectory);
    });
}

#[test]
fn a_small_file_is_written_whole_and_private() {
    on_all(|on| {
        on.hands.put("state", b"old");
        on.hands.set_mode("state", 0o644);
        // Left behind by a run that was killed.
        on.hands.put("state.new", b"half");
        let before = on.stamp("state");
        on.disk.write(&at("state"), b"new").unwrap();
        assert_eq!(on.content("state"), "new");
        assert_eq!(on.status("state").mode, 0o600);
        assert_ne!(on.stamp("state").inode, before.inode);
        assert_eq!(on.names(""), ["state"]);
        // What cannot be put in place replaces nothing.
        on.hands.mkdir("state.new");
        assert_eq!(
            why("state.new", on.disk.write(&at("state"), b"newer")),
            ErrorKind::IsADirectory
        );
        assert_eq!(on.content("state"), "new");
        on.hands.mkdir("d");
        assert_eq!(
            why("d", on.disk.write(&at("d"), b"")),
            ErrorKind::IsADirectory
        );
    });
}

#[test]
fn a_directory_that_may_not_be_read_is_no_empty_one() {
    on_all_as_anybody(|on| {
        on.hands.put("d/f", b"f");
        on.hands.set_mode("d", 0o300);
        let denied = ErrorKind::PermissionDenied;
        assert_eq!(why("d", on.disk.list(&at("d"))), denied);
        assert_eq!(why("d", on.disk.sync_dir(&at("d"))), denied);
        assert_eq!(why("d", on.disk.sync_filesystem(&at("d"))), denied);
        assert_eq!(why("d", on.disk.space(&at("d"))), denied);
        // What is in it is found by its name.
        assert_eq!(on.content("d/f"), "f");
        on.create("d/g", b"");
        on.hands.set_mode("d", 0o700);
        assert_eq!(on.names("d"), ["f", "g"]);
    });
}

#[test]
fn a_directory_that_may_not_be_searched_hides_what_is_in_it() {
    on_all_as_anybody(|on| {
        on.hands.put("d/f", b"f");
        on.hands.mkdir("d/sub");
        on.hands.set_mode("d", 0o600);
        let denied = ErrorKind::PermissionDenied;
        let listing = on.disk.list(&at("d")).unwrap();
        assert_eq!(listing.names.len(), 2);
        assert_eq!(listing.handle.status("f").unwrap_err().kind(), denied);
        for path in ["d/f", "d/gone"] {
            assert_eq!(why(path, on.disk.status(&at(path))), denied);
            assert_eq!(why(path, on.disk.open(&at(path))), denied);
            assert_eq!(why(path, on.disk.take_up(&at(path))), denied);
            assert_eq!(why(path, on.disk.create(&at(path), Access::Shared)), denied);
            assert_eq!(why(path, on.disk.make_dir(&at(path), None)), denied);
            assert_eq!(why(path, on.disk.remove_file(&at(path))), denied);
            assert_eq!(why(path, on.disk.remove_dir(&at(path))), denied);
            assert_eq!(why(path, on.disk.replace(&at(path), &at(path))), denied);
        }
        assert_eq!(why("d/sub", on.disk.list(&at("d/sub"))), denied);
        on.hands.set_mode("d", 0o700);
    });
}

#[test]
fn in_a_directory_that_may_not_be_written_no_name_comes_or_goes() {
    on_all_as_anybody(|on| {
        on.hands.put("d/f", b"f");
        on.hands.mkdir("d/sub");
        on.hands.put("g", b"g");
        on.hands.set_mode("d", 0o500);
        let denied = ErrorKind::PermissionDenied;
        assert_eq!(
            why("d/new", on.disk.create(&at("d/new"), Access::Shared)),
            denied
        );
        assert_eq!(why("d/new", on.disk.make_dir(&at("d/new"), None)), denied);
        assert_eq!(why("d/f", on.disk.remove_file(&at("d/f"))), denied);
        assert_eq!(why("d/sub", on.disk.remove_dir(&at("d/sub"))), denied);
        assert_eq!(why("d/f", on.disk.replace(&at("g"), &at("d/f"))), denied);
        assert_eq!(
            why("d/new", on.disk.rename_new(&at("g"), &at("d/new"))),
            denied
        );
        assert_eq!(
            why("new", on.disk.rename_new(&at("d/f"), &at("new"))),
            denied
        );
        // What does not concern its names goes on, and what is there is said to be there.
        assert_eq!(
            why("d/f", on.disk.create(&at("d/f"), Access::Shared)),
            ErrorKind::AlreadyExists
        );
        assert_eq!(
            why("d/gone", on.disk.remove_file(&at("d/gone"))),
            ErrorKind::NotFound
        );
        on.hands.set_mode("d/f", 0o600);
        let mut file = on.disk.take_up(&at("d/f")).unwrap().unwrap();
        file.write_all(b"!").unwrap();
        assert_eq!(on.content("d/f"), "f!");
        on.disk.sync_dir(&at("d")).unwrap();
        on.hands.set_mode("d", 0o700);
        assert_eq!(on.names("d"), ["f", "sub"]);
    });
}

#[test]
fn a_file_that_may_not_be_read_or_written_is_neither() {
    on_all_as_anybody(|on| {
        on.hands.put("unreadable", b"");
        on.hands.put("unwritable", b"");
        on.hands.set_mode("unreadable", 0o200);
        on.hands.set_mode("unwritable", 0o400);
        let denied = ErrorKind::PermissionDenied;
        assert_eq!(why("unreadable", on.disk.open(&at("unreadable"))), denied);
        assert_eq!(why("unreadable", on.disk.read(&at("unreadable"))), denied);
        for path in ["unreadable", "unwritable"] {
            assert_eq!(why(path, on.disk.take_up(&at(path))), denied);
        }
        assert_eq!(on.content("unwritable"), "");
        // Its bits do not keep its name.
        on.disk
            .replace(&at("unreadable"), &at("unwritable"))
            .unwrap();
        on.disk.remove_file(&at("unwritable")).unwrap();
    });
}

#[test]
fn no_verb_leads_through_a_link() {
    on_all(|on| {
        on.hands.put("plain/f", b"f");
        let outside = TempDir::new();
        fs::write(outside.path().join("f"), "outside").unwrap();
        on.hands.link(outside.path().to_str().unwrap(), "link");
        let (known, fresh) = (at("link/f"), at("link/new"));
        why("link", on.disk.list(&at("link")));
        why("link", on.disk.sync_dir(&at("link")));
        why("link", on.disk.sync_filesystem(&at("link")));
        why("link", on.disk.space(&at("link")));
        why("link/f", on.disk.status(&known));
        why("link/f", on.disk.open(&known));
        why("link/f", on.disk.read(&known));
        why("link/f", on.disk.take_up(&known));
        why("link/f", on.disk.remove_file(&known));
        why("link/f", on.disk.remove_dir(&known));
        why("link/new", on.disk.create(&fresh, Access::Shared));
        why("link/new", on.disk.make_dir(&fresh, None));
        why("link/new", on.disk.replace(&at("plain/f"), &fresh));
        why("link/f", on.disk.replace(&at("plain/f"), &known));
        why("link/new", on.disk.rename_new(&at("plain/f"), &fresh));
        why("g", on.disk.rename_new(&known, &at("g")));
        why("link/f", on.disk.write(&known, b""));
        assert_eq!(on.content("plain/f"), "f");
        assert_eq!(on.names(""), ["link", "plain"]);
        assert_eq!(fs::read(outside.path().join("f")).unwrap(), b"outside");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    });
}
