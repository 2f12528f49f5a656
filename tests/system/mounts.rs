//! Disks that are lost, read-only, full or somebody else's.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use crate::gateway::{Gateway, Scratch, Tree};
use crate::images::{Image, Mounted};
use crate::needs;

/// A user who owns nothing.
const NOBODY: u32 = 65534;
/// Runs what follows as that user.
const AS_NOBODY: [&str; 6] = [
    "setpriv",
    "--reuid",
    "65534",
    "--regid",
    "65534",
    "--clear-groups",
];

/// Above the reserve of free space that a pass leaves.
const MEBIBYTES: u64 = 256;

fn can_mount(test: &str) -> bool {
    needs::has(test, needs::mounts())
}

/// Some files on both sides, in step.
fn settle(gateway: &Gateway) {
    for name in ["a", "b", "c"] {
        gateway.put(&format!("plain/{name}"), name);
        gateway.put(&format!("stick/{name}"), name);
    }
    gateway.sync_ok();
    gateway.sync_ok();
}

fn mounted_new(image: &Image, at: &Path) -> Mounted {
    let mounted = Mounted::image(image, at).unwrap();
    let _ = fs::remove_dir(at.join("lost+found"));
    mounted
}

#[test]
fn an_unmounted_stick_within_the_content_dir_deletes_and_gets_nothing() {
    if !can_mount("an unmounted stick within the content dir") {
        return;
    }
    let gateway = Gateway::new();
    let at = gateway.content.join("stick");
    let image = Image::make(&gateway.home.join("image"), MEBIBYTES).unwrap();
    let stick = mounted_new(&image, &at);
    settle(&gateway);
    drop(stick);
    gateway.dropbox.put("/stick/new", b"new");
    gateway.dropbox.put("/stick/a", b"edited");
    gateway.dropbox.remove("/stick/b");
    gateway.put("plain/new", "here");
    let before = gateway.remote_tree();
    for _ in 0..2 {
        let ended = gateway.run(&[], &["sync", "-v"]);
        assert_eq!(ended.code, Some(3), "{ended:?}");
        let told = "/stick: a disk was mounted here and is not any more";
        assert!(ended.err.contains(told), "{ended:?}");
        assert_eq!(fs::read_dir(&at).unwrap().count(), 0);
        let mut remote = gateway.remote_tree();
        assert_eq!(remote.remove("plain/new").unwrap(), b"here");
        assert_eq!(remote, before);
    }
    let stick = Mounted::image(&image, &at).unwrap();
    gateway.sync_ok();
    let local = gateway.local_tree();
    assert_eq!(local, gateway.remote_tree());
    assert_eq!(local["stick/new"], b"new");
    assert_eq!(local["stick/a"], b"edited");
    assert!(!local.contains_key("stick/b"));
    drop(stick);
}

#[test]
fn each_filesystem_that_gets_files_is_forced() {
    let test = "a sync of each filesystem";
    if !needs::has(test, &needs::strace_and_mounts()) {
        return;
    }
    let gateway = Gateway::new();
    let stick = Mounted::tmpfs("size=128m", &gateway.content.join("stick"));
    settle(&gateway);
    gateway.dropbox.put("/stick/new", b"new");
    gateway.dropbox.put("/plain/new", b"new");
    let log = gateway.home.join("syncs");
    let file = log.to_str().unwrap();
    let wrapper = ["strace", "-f", "-y", "-e", "trace=syncfs,fsync", "-o", file];
    let ended = gateway.run(&wrapper, &["sync"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = fs::read_to_string(log).unwrap();
    let times = |call: &str, dir: &Path| {
        let forced = |line: &&str| {
            line.contains(&format!("{call}("))
                && line.contains(&format!("<{}>) = 0", dir.display()))
        };
        text.lines().filter(forced).count()
    };
    // The bytes with all of their filesystems, the names with the directories they are in.
    for (whole, dir) in [
        (&*gateway.content, gateway.content.join("plain")),
        (stick.path(), stick.path().to_owned()),
    ] {
        assert_eq!(times("syncfs", whole), 1, "{}: {text}", whole.display());
        assert_eq!(times("fsync", &dir), 1, "{}: {text}", dir.display());
    }
    drop(stick);
}

#[test]
fn an_unmounted_content_dir_halts_the_pass() {
    if !can_mount("an unmounted content dir") {
        return;
    }
    let gateway = Gateway::new();
    let image = Image::make(&gateway.home.join("image"), MEBIBYTES).unwrap();
    let disk = mounted_new(&image, &gateway.content);
    settle(&gateway);
    let before = gateway.trees();
    drop(disk);
    let ended = gateway.sync();
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.err.contains("is a disk not mounted?"), "{ended:?}");
    assert_eq!(gateway.local_tree(), Tree::new());
    fs::remove_dir(&gateway.content).unwrap();
    let ended = gateway.sync();
    assert_eq!(ended.code, Some(5), "{ended:?}");
    let disk = Mounted::image(&image, &gateway.content).unwrap();
    gateway.sync_ok();
    assert!(gateway.trees() == before);
    drop(disk);
}

/// A9: without a marker, as after a restart, on the same filesystem with another device number.
#[test]
fn a9_a_content_dir_that_may_not_be_written_is_known_by_another_device_number() {
    if !can_mount("a content dir with another device number") {
        return;
    }
    let gateway = Gateway::new();
    let [image, other] =
        ["image", "other"].map(|name| Image::make(&gateway.home.join(name), MEBIBYTES).unwrap());
    let device = || fs::metadata(&gateway.content).unwrap().dev();
    let disk = mounted_new(&image, &gateway.content);
    for name in ["a", "b", "c"] {
        gateway.put(name, name);
    }
    disk.remount("ro");
    gateway.sync_ok();
    gateway.sync_ok();
    let (before, remote) = (device(), gateway.remote_tree());
    drop(disk);
    // It takes the loop device that was used.
    let in_between = mounted_new(&other, &gateway.home.join("in between"));
    let disk = Mounted::image(&image, &gateway.content).unwrap();
    disk.remount("ro");
    assert_ne!(device(), before, "it has another number");
    gateway.sync_ok();
    assert_eq!(gateway.remote_tree(), remote);
    drop(disk);
    drop(in_between);
    // Another filesystem in its place is another one.
    let disk = Mounted::image(&other, &gateway.content).unwrap();
    disk.remount("ro");
    assert_eq!(gateway.sync().code, Some(5));
    assert_eq!(gateway.remote_tree(), remote);
    drop(disk);
    assert_eq!(
        gateway.sync().code,
        Some(5),
        "and so is the bare mount point"
    );
}

#[test]
fn a_content_dir_that_became_read_only_loses_nothing() {
    if !can_mount("a read-only content dir") {
        return;
    }
    let gateway = Gateway::new();
    let image = Image::make(&gateway.home.join("image"), MEBIBYTES).unwrap();
    let disk = mounted_new(&image, &gateway.content);
    settle(&gateway);
    let before = gateway.local_tree();
    gateway.dropbox.put("/plain/new", b"new");
    gateway.dropbox.put("/plain/a", b"edited");
    gateway.dropbox.put("/made/within", b"new");
    gateway.dropbox.remove("/plain/b");
    let remote = gateway.remote_tree();
    disk.remount("ro");
    let ended = gateway.sync();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    for path in ["/plain/new", "/plain/a", "/plain/b", "/made"] {
        let line = ended.err.lines().find(|line| line.contains(path));
        assert!(
            line.is_some_and(|l| l.contains("Read-only")),
            "{path}: {ended:?}"
        );
    }
    assert_eq!(gateway.local_tree(), before);
    assert_eq!(gateway.remote_tree(), remote);
    disk.remount("rw");
    gateway.sync_ok();
    assert_eq!(gateway.local_tree(), remote);
    assert_eq!(gateway.remote_tree(), remote);
    drop(disk);
}

#[test]
fn a_mount_point_dropbox_has_deleted_is_a_problem() {
    if !can_mount("an empty mount point") {
        return;
    }
    let gateway = Gateway::new();
    let stick = Mounted::tmpfs("size=1m", &gateway.content.join("bare"));
    settle(&gateway);
    gateway.dropbox.remove("/bare");
    let ended = gateway.sync();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("/bare: folder not deleted"), "{ended:?}");
    drop(stick);
}

#[test]
fn a_directory_its_user_may_not_read_is_left_alone() {
    if !can_mount("a directory another user may not read") {
        return;
    }
    let mut gateway = Gateway::new();
    move_binary(&mut gateway);
    settle(&gateway);
    give_to_nobody(&gateway);
    let shut = gateway.content.join("stick");
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o000)).unwrap();
    gateway.dropbox.put("/stick/a", b"edited");
    gateway.dropbox.put("/stick/new", b"new");
    gateway.dropbox.remove("/stick/b");
    gateway.dropbox.put("/plain/new", b"new");
    let before = gateway.trees();
    for _ in 0..2 {
        let ended = gateway.run(&AS_NOBODY, &["sync"]);
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.err.contains("/stick: cannot"), "{ended:?}");
        let mut now = gateway.trees();
        assert_eq!(now.local.remove("plain/new").unwrap(), b"new");
        assert!(now == before);
    }
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o755)).unwrap();
    let ended = gateway.run(&AS_NOBODY, &["sync"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(gateway.local_tree(), before.remote);
    assert_eq!(gateway.remote_tree(), before.remote);
}

#[test]
fn the_lost_and_found_of_its_disks_is_left_alone() {
    if !can_mount("a lost+found") {
        return;
    }
    let mut gateway = Gateway::new();
    move_binary(&mut gateway);
    let mut disks = Vec::new();
    for (name, at) in [("image", ""), ("nested", "stick")] {
        let image = Image::make(&gateway.home.join(name), MEBIBYTES).unwrap();
        let disk = Mounted::image(&image, &gateway.content.join(at)).unwrap();
        let lost = disk.path().join("lost+found");
        fs::set_permissions(lost, fs::Permissions::from_mode(0o700)).unwrap();
        disks.push(disk);
    }
    gateway.put("a", "a");
    gateway.put("stick/b", "b");
    gateway.put("stick/lost+found/fragment", "theirs");
    gateway.put("plain/lost+found/c", "c");
    fs::create_dir(&gateway.state).unwrap();
    fs::set_permissions(&gateway.state, fs::Permissions::from_mode(0o700)).unwrap();
    give_to_nobody(&gateway);
    for disk in &disks {
        chown(disk.path().join("lost+found"), Some(0), Some(0)).unwrap();
    }
    // Neither who may not read it nor who may takes it for something of a person's.
    for (wrapper, user) in [(&AS_NOBODY[..], NOBODY), (&[], 0)] {
        own(&gateway.home.join("config.toml"), user);
        own(&gateway.state, user);
        let ended = gateway.run(wrapper, &["sync"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let names: Vec<_> = gateway.remote_tree().into_keys().collect();
        let expected = [
            "a",
            "plain/",
            "plain/lost+found/",
            "plain/lost+found/c",
            "stick/",
            "stick/b",
        ];
        assert_eq!(names, expected);
    }
    while let Some(disk) = disks.pop() {
        drop(disk);
    }
}

/// To where its user may look.
fn move_binary(gateway: &mut Gateway) {
    let binary = gateway.home.join("ferrybox");
    fs::copy(&gateway.binary, &binary).unwrap();
    gateway.binary = binary;
}

fn give_to_nobody(gateway: &Gateway) {
    for dir in [&gateway.content, &gateway.state] {
        own(dir, NOBODY);
    }
    own(&gateway.home.join("config.toml"), NOBODY);
}

/// Gives a tree to a user.
fn own(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            own(&entry.unwrap().path(), user);
        }
    }
}

#[test]
fn a_disk_without_room_is_asked_before_a_download() {
    if !can_mount("a disk without room") {
        return;
    }
    let gateway = Gateway::new();
    let disk = Mounted::tmpfs("size=70m", &gateway.content);
    settle(&gateway);
    let before = gateway.local_tree();
    gateway.dropbox.put("/plain/large", &vec![b'x'; 10 << 20]);
    gateway.dropbox.put("/plain/small", b"small");
    let ended = gateway.sync();
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert!(
        ended.err.contains("/plain/large: not downloaded"),
        "{ended:?}"
    );
    let requests = gateway.dropbox.requests();
    let downloads = requests.iter().filter(|it| it.route == "files/download");
    assert_eq!(downloads.count(), 1, "only the small one is asked for");
    let mut local = gateway.local_tree();
    assert_eq!(local.remove("plain/small").unwrap(), b"small");
    assert_eq!(local, before);
    disk.remount("size=140m");
    gateway.sync_ok();
    assert_eq!(gateway.local_tree(), gateway.remote_tree());
    drop(disk);
}

#[test]
fn a_disk_that_fills_up_during_a_download_keeps_the_old_file() {
    if !can_mount("a disk that fills up") {
        return;
    }
    let gateway = Gateway::new();
    let disk = Mounted::tmpfs("size=100m", &gateway.content);
    settle(&gateway);
    let before = gateway.local_tree();
    gateway.dropbox.put("/plain/a", &vec![b'x'; 4 << 20]);
    let ballast = gateway.content.join(".ferrybox-ballast");
    fill_when_asked(&gateway, "download", &ballast);
    let ended = gateway.sync();
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert!(ended.err.contains("/plain/a: not downloaded"), "{ended:?}");
    assert!(ended.err.contains("No space left"), "{ended:?}");
    assert_eq!(gateway.local_tree(), before);
    gateway.dropbox.on_request(Box::new(|_| ()));
    empty(&ballast);
    gateway.sync_ok();
    assert_eq!(gateway.local_tree(), gateway.remote_tree());
    drop(disk);
}

/// Fills the filesystem up when a request comes whose target contains `target`.
fn fill_when_asked(gateway: &Gateway, target: &'static str, ballast: &Path) {
    let ballast = ballast.to_owned();
    gateway.dropbox.on_request(Box::new(move |request| {
        if request.target.contains(target) {
            fill(&ballast);
        }
    }));
}

/// Gives the room back. A process that another test is just starting may hold the file open.
fn empty(ballast: &Path) {
    fs::File::create(ballast).unwrap();
    fs::remove_file(ballast).unwrap();
}

fn fill(ballast: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(ballast).unwrap();
    for size in [1 << 20, 4096, 1] {
        let block = vec![0; size];
        while file.write_all(&block).is_ok() {}
    }
}

#[test]
fn a_state_directory_that_is_full_loses_nothing() {
    if !can_mount("a full state directory") {
        return;
    }
    // Full from the beginning of the pass on, and from the middle of it.
    for target in ["list_folder", "download", "upload"] {
        let scratch = Scratch::new();
        let (content, state) = (scratch.join("content"), scratch.join("state"));
        fs::create_dir(&content).unwrap();
        let gateway = Gateway::at(scratch, content, state.clone());
        let disk = Mounted::tmpfs("size=3m,mode=700", &state);
        settle(&gateway);
        gateway.put("plain/here", "here");
        gateway.dropbox.put("/plain/there", b"there");
        gateway.put("stick/a", "edited here");
        gateway.dropbox.put("/stick/b", b"edited there");
        // So many that the index has to grow.
        for number in 0..300 {
            let path = format!("/plain/{number:0200}");
            gateway.dropbox.put(&path, path.as_bytes());
            gateway.put(&format!("plain/up {number:0200}"), &format!("up {number}"));
        }
        let ballast = state.join("ballast");
        fill_when_asked(&gateway, target, &ballast);
        let ended = gateway.sync();
        assert_eq!(ended.code, Some(8), "{target}: {ended:?}");
        assert!(ended.err.contains("full"), "{target}: {ended:?}");
        gateway.dropbox.on_request(Box::new(|_| ()));
        empty(&ballast);
        gateway.sync_ok();
        let local = gateway.local_tree();
        assert_eq!(local, gateway.remote_tree());
        assert_eq!(
            local
                .iter()
                .filter(|(path, _)| !path.ends_with('/'))
                .count(),
            608
        );
        assert_eq!(local["stick/a"], b"edited here");
        assert_eq!(local["stick/b"], b"edited there");
        drop(disk);
    }
}

#[test]
fn a_stick_lost_during_a_pass_loses_nothing() {
    if !can_mount("a stick lost during a pass") {
        return;
    }
    // Right before each of its requests.
    for nth in 1.. {
        let gateway = Gateway::new();
        let at = gateway.content.join("stick");
        let image = Image::make(&gateway.home.join("image"), MEBIBYTES).unwrap();
        let stick = mounted_new(&image, &at);
        settle(&gateway);
        gateway.put("stick/here", "here");
        gateway.dropbox.put("/stick/there", b"there");
        gateway.dropbox.put("/stick/a", b"edited there");
        gateway.put("plain/here", "here");
        gateway.dropbox.put("/plain/there", b"there");
        let mut stick = Some(stick);
        let mut requests = 0;
        gateway.dropbox.on_request(Box::new(move |_| {
            requests += 1;
            if requests == nth
                && let Some(stick) = stick.take()
            {
                stick.lose();
            }
        }));
        let ended = gateway.sync();
        // 1: what was just written could not be forced any more.
        assert!(matches!(ended.code, Some(0 | 1 | 3)), "{nth}: {ended:?}");
        let requests = gateway.dropbox.requests().len();
        gateway.dropbox.on_request(Box::new(|_| ()));
        let bare = fs::read_dir(&at).unwrap();
        let bare: Vec<_> = bare.map(|entry| entry.unwrap().file_name()).collect();
        let said = format!("{nth}: {ended:?}, in the bare mount point: {bare:?}");
        let stick = Mounted::image(&image, &at).unwrap();
        gateway.sync_ok();
        gateway.sync_ok();
        let local = gateway.local_tree();
        assert!(local == gateway.remote_tree(), "{said}");
        for (path, content) in [
            ("stick/a", "edited there"),
            ("stick/b", "b"),
            ("stick/here", "here"),
            ("stick/there", "there"),
            ("plain/here", "here"),
            ("plain/there", "there"),
        ] {
            let found = local.get(path).map(Vec::as_slice);
            assert_eq!(found, Some(content.as_bytes()), "{path}: {said}");
        }
        drop(stick);
        if nth > requests {
            break;
        }
    }
}
