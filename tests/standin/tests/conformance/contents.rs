//! Contents that are made from a seed, or not kept.

use dropbox_standin::{content_hash, seeded_bytes};
use serde_json::json;

use crate::verbs::{client, told};

#[test]
fn seeded_file_is_like_any_other() {
    let client = client();
    client.standin.put_seeded("/A/f", 9_000_000, 3);
    let told = client
        .rpc("files/get_metadata", json!({"path": "/A/f"}))
        .ok();
    let bytes = client.standin.read("/A/f").unwrap();
    assert_eq!(bytes, seeded_bytes(9_000_000, 3));
    assert_eq!(told["size"], bytes.len());
    assert_eq!(told["content_hash"], content_hash(&bytes));
    let part = client.download("/A/f", &[("Range", "bytes=65530-70000")]);
    assert_eq!(part.body.to_vec(), &bytes[65_530..=70_000]);
    assert_eq!(client.download("/A/f", &[]).body.to_vec(), bytes);
}

#[test]
fn contents_that_are_not_kept_have_size_and_hash_all_the_same() {
    let client = client();
    client.standin.set_keep_contents(false);
    let bytes = vec![9; 5_000_000];
    let hash = content_hash(&bytes);
    let whole = client.upload("/f", &bytes, json!({})).ok();
    assert_eq!(
        (&whole["content_hash"], &whole["size"]),
        (&json!(hash), &json!(5_000_000))
    );
    let start = client.up("files/upload_session/start", json!({}), &bytes[..4_194_304]);
    let id = start.ok()["session_id"].clone();
    let cursor = json!({"session_id": id, "offset": 4_194_304});
    let arg = json!({"cursor": cursor, "commit": {"path": "/g"}});
    let finish = client.up("files/upload_session/finish", arg, &bytes[4_194_304..]);
    assert_eq!(finish.ok()["content_hash"], hash);
    assert_eq!(told(&client.download("/g", &[])).status, 500);
    // Identical contents are known by their hash.
    let again = client.upload("/f", &bytes, json!({})).ok();
    assert_eq!(again["rev"], whole["rev"]);
}
