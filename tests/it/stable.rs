//! A file goes up as one version of itself, never as a mixture of two, whatever is done to it
//! while it is read; on a machine in memory, where it can be done between two reads.

use ferrybox::io::deadline::Deadline;

use crate::sim::seam::{Call, Op};
use crate::world::{Clock, World};

/// Sizes that are read whole, sent in one call, and sent in a session.
const SIZES: [usize; 3] = [60_000, 300_000, 9 << 20];

/// The second read of the file; the first one has its beginning.
fn second_read() -> impl FnMut(&Call) -> bool + Send + 'static {
    let mut reads = 0;
    move |call| {
        let is_read = call.on == "content" && call.path == "f" && call.op == Op::Read;
        reads += u32::from(is_read);
        is_read && reads == 2
    }
}

/// Uploads a file that becomes `after` between two reads; only whole versions may arrive.
#[track_caller]
fn check(size: usize, after: Vec<u8>, stored: &[&[u8]]) {
    let world = World::in_memory("LOCAL_TO_DROPBOX");
    world.put_bytes("f", &vec![b'a'; size]);
    let written = after.clone();
    let (_, happened) = world.sync_but_when(second_read(), move |disk| disk.put("f", &written));
    assert!(happened);
    let mut versions = world.dropbox.replaced();
    versions.extend(
        world
            .dropbox
            .read("/f")
            .map(|bytes| ("/f".to_owned(), bytes)),
    );
    for (_, bytes) in versions {
        assert!(
            stored.contains(&&*bytes),
            "a mixture of {} bytes",
            bytes.len()
        );
    }
    world.sync_ok();
    assert!(world.dropbox.read("/f").as_deref() == Some(&*after));
}

#[test]
fn a_file_rewritten_under_the_upload_goes_up_as_one_version() {
    for size in SIZES {
        let (before, after) = (vec![b'a'; size], vec![b'b'; size]);
        check(size, after.clone(), &[&before, &after]);
    }
}

#[test]
fn a_file_rewritten_longer_is_no_file_that_grew() {
    for size in SIZES {
        let (before, after) = (vec![b'a'; size], vec![b'b'; size + 1000]);
        check(size, after.clone(), &[&before, &after, &after[..size]]);
    }
}

/// Two files, which travel together.
#[track_caller]
fn check_in_a_batch(
    is_it: impl FnMut(&Call) -> bool + Send + 'static,
    after: Vec<u8>,
    stored: &[&[u8]],
) {
    let world = World::in_memory("LOCAL_TO_DROPBOX");
    world.put("e", "another");
    world.put_bytes("f", &vec![b'a'; BATCHED]);
    let written = after.clone();
    let (outcome, happened) = world.sync_but_when(is_it, move |disk| disk.put("f", &written));
    assert!(happened);
    let batches = outcome.calls.iter().filter(|call| call.contains("batch"));
    assert!(batches.count() > 0, "{outcome:?}");
    let mut versions: Vec<Vec<u8>> = world
        .dropbox
        .replaced()
        .into_iter()
        .map(|it| it.1)
        .collect();
    versions.extend(world.dropbox.read("/f"));
    for bytes in versions {
        let length = bytes.len();
        assert!(stored.contains(&&*bytes), "a mixture of {length} bytes");
    }
    world.sync_ok();
    assert!(world.dropbox.read("/f").as_deref() == Some(&*after));
}

/// The size of a file that is read in pieces within a batch.
const BATCHED: usize = 300_000;

#[test]
fn a_file_rewritten_within_a_batch_goes_up_as_one_version() {
    let before = vec![b'a'; BATCHED];
    for size in [BATCHED, BATCHED + 1000] {
        let after = vec![b'b'; size];
        check_in_a_batch(
            second_read(),
            after.clone(),
            &[&before, &after, &after[..BATCHED]],
        );
    }
}

/// It was looked at when the batch was put together, and is no longer what was looked at.
#[test]
fn a_file_rewritten_before_its_batch_is_read_goes_up_whole() {
    let is_opened = |call: &Call| call.on == "content" && call.path == "f" && call.op == Op::Open;
    let after = vec![b'b'; BATCHED + 1000];
    check_in_a_batch(is_opened, after.clone(), &[&after]);
}

#[test]
fn a_log_that_grows_under_the_upload_goes_up_as_its_prefix() {
    for size in SIZES {
        let (before, after) = (vec![b'a'; size], vec![b'a'; size + 1000]);
        check(size, after.clone(), &[&before, &after]);
    }
}

#[test]
fn a_hash_is_that_of_one_version() {
    let longer = vec![b'b'; 301_000];
    for after in [vec![b'b'; 300_000], longer] {
        let world = World::in_memory("BIDIRECTIONAL");
        world.put_bytes("f", &[b'a'; 300_000]);
        world.sync_ok();
        // Touched, so it is hashed.
        world.set_mtime("f", 1_767_225_600);
        let hashes = [&vec![b'a'; 300_000], &after, &after[..300_000].to_vec()]
            .map(|bytes| ferrybox::core::content_hash::ContentHash::of(bytes));
        let path = ferrybox::core::path::RelPath::parse("f").unwrap();
        let (disk, written) = (world.disk(), after.clone());
        let (hash, _) = world.meddled(
            second_read(),
            move |disk| disk.put("f", &written),
            || {
                let clock = Clock::default();
                let deadline = Deadline::none(&clock);
                ferrybox::engine::stable_read::hash(&disk, &path, &deadline).unwrap()
            },
        );
        assert!(hashes.contains(&hash), "the hash of a mixture");
    }
}

#[test]
fn a_new_file_does_not_replace_one_that_came_to_dropbox_meanwhile() {
    let world = World::in_memory("LOCAL_TO_DROPBOX");
    world.put("f", "ours");
    let dropbox = world.dropbox.clone();
    let uploads = |call: &Call| call.op == Op::Request && call.path.contains("files/upload");
    world.sync_but_when(uploads, move |_| drop(dropbox.put("/f", b"another's")));
    assert_eq!(world.dropbox.read("/f").unwrap(), b"another's");
}
