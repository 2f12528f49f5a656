//! What the index keeps of entries whose folder is spelt in one way or another, or in none that is
//! known: the filters are asked about no guess.

use ferrybox::core::filter::Filter;
use ferrybox::core::path::Key;
use ferrybox::index::{Base, Index, Meta, Remote, RemoteEntry, RemoteFile};

fn excluding(pattern: &str) -> Filter {
    let all = ["/.*".to_owned()];
    Filter::new(&all, &all, &[pattern.to_owned()], false).unwrap()
}

/// What Dropbox tells of a path whose last part is spelt so; of its folders it tells nothing.
fn entry(path: &str, remote: Remote) -> RemoteEntry {
    RemoteEntry {
        key: Key::of(path),
        display_name: path.rsplit('/').next().unwrap().to_owned(),
        lower: None,
        display_dir: path.rsplit_once('/').map(|(dir, _)| dir.to_lowercase()),
        remote,
    }
}

fn file(rev: &str) -> Remote {
    Remote::File(RemoteFile {
        rev: rev.into(),
        hash: None,
        size: 1,
        modified: None,
    })
}

fn new_index() -> Index {
    let index = Index::temporary("one", None).unwrap();
    index
        .transaction(|| index.clear_meta(Meta::RelistDue))
        .unwrap();
    index
}

fn apply(index: &Index, filter: &Filter, entries: &[RemoteEntry]) {
    let all = || {
        entries
            .iter()
            .try_for_each(|entry| index.apply(entry, filter).map(drop))
    };
    index.transaction(all).unwrap();
}

fn list(index: &Index, filter: &Filter, entries: &[RemoteEntry]) {
    let all = || {
        entries.iter().try_for_each(|entry| index.stage(entry))?;
        index.merge_staged(filter, &|_| {})
    };
    index.transaction(all).unwrap();
}

/// Keys of all rows, and what is there.
fn rows(index: &Index) -> Vec<(String, Remote)> {
    let mut found = Vec::new();
    let mut dirs = vec![String::new()];
    while let Some(dir) = dirs.pop() {
        let mut rows = index.rows_in_dir(&dir);
        while let Some(row) = rows.next().unwrap() {
            dirs.push(row.key.path());
            found.push((row.key.path(), row.remote_now()));
        }
    }
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found
}

fn keys(index: &Index) -> Vec<String> {
    rows(index).into_iter().map(|(key, _)| key).collect()
}

fn is_relist_due(index: &Index) -> bool {
    index.meta(Meta::RelistDue).unwrap().is_some()
}

/// Puts a folder and a file in it into the index, in step.
fn in_step(index: &Index, filter: &Filter) {
    let folder = entry("Open", Remote::Folder);
    apply(index, filter, &[folder, entry("Open/f", file("1"))]);
    for key in ["open", "open/f"] {
        let mut row = index.row(&Key::of(key)).unwrap().unwrap();
        let base = match row.remote_file() {
            None => Base::Folder,
            Some(file) => Base::File(ferrybox::index::BaseFile {
                rev: file.rev,
                hash: ferrybox::core::content_hash::ContentHash([0; 32]),
                stamp: ferrybox::io::stat::Stamp::default(),
                racy: false,
                arrived_in_pass: 0,
                reappeared: false,
            }),
        };
        let name = row.display_name.clone();
        row.settle(base, &name);
        index.transaction(|| index.put(&row)).unwrap();
    }
}

#[test]
fn a_file_told_of_before_its_folder_makes_the_next_listing_and_no_row() {
    let (index, filter) = (new_index(), excluding("/Private"));
    apply(&index, &filter, &[entry("Private/pw", file("1"))]);
    assert_eq!(rows(&index), []);
    assert!(is_relist_due(&index));
    // Where no rule depends on letters, the folder is made on the way.
    let (index, filter) = (new_index(), Filter::everything());
    apply(&index, &filter, &[entry("Private/pw", file("1"))]);
    assert_eq!(keys(&index), ["private", "private/pw"]);
    assert!(!is_relist_due(&index));
}

/// A folder that was deleted may be spelt otherwise when it comes back.
#[test]
fn the_spelling_of_a_folder_that_is_gone_says_nothing_about_what_comes_next() {
    let (index, filter) = (new_index(), excluding("/OPEN"));
    in_step(&index, &filter);
    apply(&index, &filter, &[entry("open", Remote::Gone)]);
    assert!(!is_relist_due(&index));
    apply(&index, &filter, &[entry("open/g", file("2"))]);
    assert!(is_relist_due(&index));
    assert_eq!(index.row(&Key::of("open/g")).unwrap(), None);
}

#[test]
fn a_listed_file_without_its_folder_gets_no_row_and_loses_none() {
    let (index, filter) = (new_index(), excluding("/OPEN"));
    in_step(&index, &filter);
    list(
        &index,
        &filter,
        &[entry("Open/f", file("1")), entry("Open/g", file("2"))],
    );
    assert_eq!(index.row(&Key::of("open/g")).unwrap(), None);
    let kept = index.row(&Key::of("open/f")).unwrap().unwrap();
    assert!(kept.base_file().is_some(), "the base is kept");
}

#[test]
fn a_folder_whose_name_changes_in_case_only_makes_the_next_listing() {
    let (index, filter) = (new_index(), excluding("/OPEN"));
    in_step(&index, &filter);
    apply(&index, &filter, &[entry("Open", Remote::Folder)]);
    assert!(!is_relist_due(&index), "the same name");
    apply(&index, &filter, &[entry("OPEN", Remote::Folder)]);
    assert!(is_relist_due(&index));
    let row = index.row(&Key::of("open")).unwrap().unwrap();
    assert_eq!(row.base, Base::None, "what is pruned has no base");
}

#[test]
fn what_a_listing_finds_pruned_keeps_its_name_and_no_base() {
    let (index, open) = (new_index(), excluding("/no"));
    in_step(&index, &open);
    let pruned = excluding("/Open");
    let all = [entry("Open", Remote::Folder), entry("Open/f", file("1"))];
    list(&index, &pruned, &all);
    let row = index.row(&Key::of("open")).unwrap().unwrap();
    assert_eq!((row.base, row.display_name.as_str()), (Base::None, "Open"));
    assert_eq!(keys(&index), ["open"]);
}

/// A name that is left out in every case of its letters needs no row to be known by.
#[test]
fn what_is_left_out_by_its_name_has_no_row() {
    for mut filter in [Filter::everything(), excluding("/no")] {
        filter.set_hidden(false);
        let hidden = [
            entry(".Git", Remote::Folder),
            entry(".Git/config", file("1")),
            entry(".Git/hooks", Remote::Folder),
        ];
        let index = new_index();
        apply(&index, &filter, &hidden);
        assert_eq!(rows(&index), []);
        list(&index, &filter, &hidden);
        assert_eq!(rows(&index), []);
        assert!(!is_relist_due(&index));
    }
}

#[test]
fn a_pattern_in_another_normal_form_excludes_the_same_names() {
    for pattern in [
        "/A\u{308}rger",
        "/\u{c4}rger",
        "/\u{c4}.*er",
        "/A\u{308}.*er",
    ] {
        let filter = excluding(pattern);
        assert!(filter.prunes("/\u{c4}rger/pw"), "{pattern}");
    }
}
