//! `files/download`: whole files, ranges of them, and old revisions.

use serde_json::Value;

use crate::verbs::{client, told};

#[test]
fn download_has_the_metadata_in_an_ascii_header() {
    let client = client();
    client.standin.put("/é😀.txt", b"hello");
    let response = client.download("/é😀.txt", &[]);
    assert_eq!(
        (response.status, response.body.to_vec()),
        (200, b"hello".to_vec())
    );
    let result = response.header("Dropbox-API-Result").unwrap();
    assert!(result.is_ascii(), "{result}");
    let result: Value = serde_json::from_str(result).unwrap();
    assert_eq!(result["name"], "é😀.txt");
    assert!(result[".tag"].is_null());
}

#[test]
fn old_revisions_can_be_downloaded() {
    let client = client();
    let old = client.standin.put("/f", b"old");
    client.standin.put("/f", b"new");
    client.standin.remove("/f");
    assert_eq!(
        client.download(&format!("rev:{old}"), &[]).body.to_vec(),
        b"old"
    );
    assert_eq!(
        told(&client.download("/f", &[])).summary(),
        "path/not_found"
    );
}

#[test]
fn range_gives_a_part() {
    let client = client();
    client.standin.put("/f", b"0123456789");
    let response = client.download("/f", &[("Range", "bytes=3-5")]);
    assert_eq!(
        (response.status, response.body.to_vec()),
        (206, b"345".to_vec())
    );
    assert_eq!(response.header("Content-Range"), Some("bytes 3-5/10"));
    assert_eq!(
        client
            .download("/f", &[("Range", "bytes=7-")])
            .body
            .to_vec(),
        b"789"
    );
    let response = client.download("/f", &[("Range", "bytes=10-")]);
    assert_eq!(response.status, 416);
    assert_eq!(response.header("Content-Range"), Some("bytes */10"));
}

#[test]
fn unchanged_contents_are_not_sent_again() {
    let client = client();
    client.standin.put("/f", b"1");
    let etag = client
        .download("/f", &[])
        .header("ETag")
        .unwrap()
        .to_owned();
    assert_eq!(
        client.download("/f", &[("If-None-Match", &etag)]).status,
        304
    );
    client.standin.put("/f", b"2");
    assert_eq!(
        client.download("/f", &[("If-None-Match", &etag)]).status,
        200
    );
}

#[test]
fn what_cannot_be_downloaded_is_told_apart() {
    let client = client();
    for path in ["/A/doc", "/A/secret"] {
        client.standin.put(path, b"x");
    }
    client.standin.set_not_downloadable("/A/doc");
    client.standin.set_restricted("/A/secret");
    let summary = |path: &str| told(&client.download(path, &[])).summary();
    assert_eq!(summary("/A"), "path/not_file");
    assert_eq!(summary("/A/doc"), "unsupported_file");
    assert_eq!(summary("/A/secret"), "path/restricted_content");
    assert_eq!(summary("/none"), "path/not_found");
}

#[test]
fn link_downloads_as_its_target() {
    let client = client();
    client.standin.set_symlink("/link", "../x");
    assert_eq!(client.download("/link", &[]).body.to_vec(), b"../x");
}
