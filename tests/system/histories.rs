//! The histories that are disturbed: what is in step, what then changes, and what it comes to.

use std::fs;

use crate::gateway::{Gateway, Wanted};

/// One history.
pub struct History {
    pub name: &'static str,
    /// What both sides agree on before; nothing if there was no pass yet.
    settled: Option<fn(&Gateway)>,
    /// What the disturbed pass finds.
    changes: fn(&Gateway),
}

/// A first pass over two trees that overlap.
pub const FIRST: History = History {
    name: "first sync",
    settled: None,
    changes: first,
};

/// A pass over every kind of change on both sides.
pub const TWO_WAY: History = History {
    name: "two-way sync",
    settled: Some(base),
    changes: edits,
};

/// A pass that deletes on both sides.
pub const DELETES: History = History {
    name: "delete pass",
    settled: Some(base),
    changes: removals,
};

impl History {
    /// Brings a gateway to right before the pass.
    pub fn prepare(&self, gateway: &Gateway) {
        match self.settled {
            Some(settled) => {
                settled(gateway);
                gateway.sync_ok();
                gateway.sync_ok();
            }
            None => gateway.authenticate(),
        }
        (self.changes)(gateway);
    }

    pub fn begin(&self) -> Gateway {
        let gateway = Gateway::new();
        self.prepare(&gateway);
        gateway
    }

    /// What it comes to undisturbed.
    pub fn undisturbed(&self) -> Wanted {
        let gateway = self.begin();
        let before = gateway.trees();
        gateway.sync_ok();
        gateway.sync_ok();
        let after = gateway.trees();
        assert!(after.local == after.remote, "both sides are in step");
        assert!(after != before, "there was something to do");
        Wanted {
            before,
            after,
            own_files: gateway.own_files(),
        }
    }
}

fn text(path: &str, version: u32) -> String {
    format!("{path}, version {version}\n").repeat(20)
}

fn put(gateway: &Gateway, path: &str, version: u32) {
    gateway.put(path, &text(path, version));
}

fn upload(gateway: &Gateway, path: &str, version: u32) {
    let bytes = text(path, version).into_bytes();
    gateway.dropbox.put(&format!("/{path}"), &bytes);
}

fn both(gateway: &Gateway, path: &str) {
    put(gateway, path, 1);
    upload(gateway, path, 1);
}

fn first(gateway: &Gateway) {
    for path in ["up/1", "up/2", "up/deep/3", "up 4.txt"] {
        put(gateway, path, 1);
    }
    gateway.put("up/large", &text("large up", 1).repeat(400));
    gateway.mkdir("empty here");
    for path in ["down/1", "down/2", "down/deep/3", "down 4.txt"] {
        upload(gateway, path, 1);
    }
    let large = text("large down", 1).repeat(400);
    gateway.dropbox.put("/down/large", large.as_bytes());
    gateway.dropbox.mkdir("/empty there");
    both(gateway, "shared/equal");
    put(gateway, "shared/differs.txt", 1);
    gateway.date("shared/differs.txt");
    upload(gateway, "shared/differs.txt", 2);
}

fn base(gateway: &Gateway) {
    for number in 1..=12 {
        both(gateway, &format!("kept/{number}"));
    }
    for name in ["here", "there", "both.txt", "other.txt"] {
        both(gateway, &format!("edited/{name}"));
    }
    for name in ["edited here", "edited there"] {
        both(gateway, &format!("revived/{name}"));
    }
    for side in ["here", "there"] {
        for name in ["1", "2", "deep/3", "deep/4"] {
            both(gateway, &format!("gone {side}/{name}"));
        }
        both(gateway, &format!("moved {side}/file"));
        both(gateway, &format!("folder of {side}/within/file"));
        gateway.mkdir(&format!("hollow {side}"));
        gateway.dropbox.mkdir(&format!("/hollow {side}"));
        both(gateway, &format!("swapped {side}"));
    }
}

fn edits(gateway: &Gateway) {
    let dropbox = &gateway.dropbox;
    put(gateway, "edited/here", 2);
    upload(gateway, "edited/there", 2);
    for path in ["edited/both.txt", "edited/other.txt"] {
        put(gateway, path, 2);
        gateway.date(path);
        upload(gateway, path, 3);
    }
    put(gateway, "revived/edited here", 2);
    dropbox.remove("/revived/edited here");
    upload(gateway, "revived/edited there", 2);
    gateway.remove("revived/edited there");
    gateway.rename("moved here/file", "moved here/renamed");
    gateway.rename("folder of here", "renamed folder of here");
    dropbox.rename("/moved there/file", "/moved there/renamed");
    dropbox.rename("/folder of there", "/renamed folder of there");
    for name in ["1", "deep/2", "deep/3"] {
        put(gateway, &format!("new here/{name}"), 1);
        upload(gateway, &format!("new there/{name}"), 1);
    }
    gateway.mkdir("new hollow here/within");
    dropbox.mkdir("/new hollow there/within");
    put(gateway, "new/equal", 1);
    upload(gateway, "new/equal", 1);
    put(gateway, "new/differs.txt", 1);
    gateway.date("new/differs.txt");
    upload(gateway, "new/differs.txt", 2);
    // A file and a folder change places.
    gateway.remove("swapped here");
    put(gateway, "swapped here/file", 1);
    dropbox.remove("/swapped there");
    upload(gateway, "swapped there/file", 1);
}

fn removals(gateway: &Gateway) {
    gateway.remove("gone here");
    gateway.remove("hollow here");
    gateway.remove("kept/1");
    gateway.remove("folder of here");
    gateway.dropbox.remove("/gone there");
    gateway.dropbox.remove("/hollow there");
    gateway.dropbox.remove("/kept/2");
    gateway.dropbox.remove("/folder of there");
    // Gone on both sides already.
    let path = gateway.content.join("edited/both.txt");
    fs::remove_file(path).unwrap();
    gateway.dropbox.remove("/edited/both.txt");
}
