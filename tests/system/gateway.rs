//! A gateway whose passes are runs of the built binary: killed, failed or cut off at any call.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use dropbox_standin::{Endpoint, Link, Listeners, Node, Standin};

use crate::console::made;

/// Files with their contents; folders end with a slash and hold nothing.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// The signal a killed process ends with.
const SIGKILL: i32 = 9;

/// Free memory from which on the scratch directories are kept there, in bytes: a pass leaves a
/// reserve of 64 MiB.
const ROOMY: u64 = 512 << 20;

/// A directory for one test, in memory where there is room: a killed process needs no medium.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ferrybox-gateway-{}-{count}", std::process::id());
        let memory = Path::new("/dev/shm");
        let is_roomy = rustix::fs::statvfs(memory)
            .is_ok_and(|vfs| vfs.f_bavail.saturating_mul(vfs.f_frsize) > ROOMY);
        let base = if is_roomy {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        let path = base.join(name);
        fs::create_dir(&path).unwrap();
        Scratch(path.canonicalize().unwrap())
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; nothing if a signal ended it.
    pub code: Option<i32>,
    pub was_killed: bool,
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        Ended {
            code: output.status.code(),
            was_killed: output.status.signal() == Some(SIGKILL),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A gateway beside a Dropbox.
pub struct Gateway {
    pub binary: PathBuf,
    /// What runs the binary, with its options; nothing where this machine does.
    pub emulator: Vec<String>,
    pub home: Scratch,
    pub content: PathBuf,
    pub state: PathBuf,
    pub dropbox: Standin,
    listeners: Listeners,
}

impl Gateway {
    /// A gateway with everything in a scratch directory.
    pub fn new() -> Gateway {
        let home = Scratch::new();
        let (content, state) = (home.join("content"), home.join("state"));
        fs::create_dir(&content).unwrap();
        Gateway::at(home, content, state)
    }

    /// A gateway with its content dir and state elsewhere.
    pub fn at(home: Scratch, content: PathBuf, state: PathBuf) -> Gateway {
        let dropbox = Standin::new();
        let listeners = dropbox.listen().unwrap();
        let gateway = Gateway {
            binary: env!("CARGO_BIN_EXE_ferrybox").into(),
            emulator: Vec::new(),
            home,
            content,
            state,
            dropbox,
            listeners,
        };
        fs::create_dir(gateway.home.join("run")).unwrap();
        gateway.use_token();
        gateway
    }

    /// The same gateway, that knows no other hosts than Dropbox's and is led to the stand-in by a
    /// proxy: everything goes over TLS.
    pub fn over_tls(mut self) -> Gateway {
        self.listeners.open_tls(None).unwrap();
        let ca = self.listeners.ca_pem().unwrap();
        fs::write(self.home.join("ca.pem"), ca).unwrap();
        self.use_token();
        self
    }

    /// The connections so far.
    pub fn links(&self) -> Vec<Link> {
        self.listeners.links()
    }

    fn use_token(&self) {
        let token = self.dropbox.personal_access_token();
        self.configure(&format!("personal_access_token = \"{token}\""));
    }

    fn configure(&self, credential: &str) {
        let network = match self.listeners.proxy_url() {
            Some(proxy) => format!(
                "proxy = \"{proxy}\"\nca_file = \"{}\"\n",
                self.home.join("ca.pem").display()
            ),
            None => "[endpoints]\n".to_owned() + &self.endpoints(),
        };
        let text = format!(
            "[dropbox]\n{credential}\n[sync]\ncontent_dir = \"{}\"\nmode = \"BIDIRECTIONAL\"\n\
             device_name = \"pi\"\n[state]\ndir = \"{}\"\n\
             [network]\nupload_chunk_mib = 8\n{network}",
            self.content.display(),
            self.state.display(),
        );
        let file = self.home.join("config.toml");
        fs::write(&file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Changes the configuration.
    pub fn reconfigure(&self, change: impl FnOnce(&str) -> String) {
        let file = self.home.join("config.toml");
        let text = change(&fs::read_to_string(&file).unwrap());
        fs::write(file, text).unwrap();
    }

    /// Adds sections to the configuration.
    pub fn configure_also(&self, sections: &str) {
        let file = self.home.join("config.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(file, text + sections).unwrap();
    }

    fn endpoints(&self) -> String {
        let line = |endpoint: Endpoint| {
            let url = self.listeners.url(endpoint);
            format!("{} = \"{url}\"\n", endpoint.name())
        };
        Endpoint::ALL.into_iter().map(line).collect()
    }

    /// Nobody is signed in yet.
    pub fn use_app(&self) {
        self.configure("app_key = \"standin-key\"");
    }

    /// Authenticates with a code, so that passes refresh and cache their access token.
    pub fn authenticate(&self) {
        self.use_app();
        let banner = self
            .command(&[], &["startAuthentication"])
            .output()
            .unwrap();
        let banner = String::from_utf8_lossy(&banner.stdout).into_owned();
        let link = crate::console::link(&banner);
        let code = self.dropbox.approve(&link).unwrap();
        let ended = self.run(&[], &["finishAuthentication", &code]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        // The pass under test gets its own.
        let _ = fs::remove_dir_all(self.home.join("run/ferrybox"));
    }

    /// A command of the binary, run by `wrapper`, with nothing of the caller's environment.
    pub fn command(&self, wrapper: &[&str], args: &[&str]) -> Command {
        let config = self.home.join("config.toml");
        let binary = self.binary.to_str().unwrap();
        let emulator = self.emulator.iter().map(String::as_str);
        let words = wrapper.iter().copied().chain(emulator);
        let mut words = words.chain([binary, "--config"]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg(config).args(args);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("RUNTIME_DIRECTORY", made(self.home.join("run/ferrybox")))
            .env("HOME", self.home.join("home"))
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, wrapper: &[&str], args: &[&str]) -> Ended {
        loop {
            match self.command(wrapper, args).output() {
                // A copy of the binary, which a process that another test has just started may
                // still hold open for writing.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                output => return output.unwrap().into(),
            }
        }
    }

    pub fn sync(&self) -> Ended {
        self.dropbox.clear_requests();
        self.run(&[], &["sync"])
    }

    /// A pass that must end well.
    #[track_caller]
    pub fn sync_ok(&self) {
        let ended = self.sync();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }

    // What a person does on the gateway.

    pub fn put(&self, path: &str, content: &str) {
        let file = self.content.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        // As an editor does it: a new inode.
        let _ = fs::remove_file(&file);
        fs::write(file, content).unwrap();
    }

    /// Sets a time the name of a conflict copy can be told from beforehand.
    pub fn date(&self, path: &str) {
        let file = fs::File::options()
            .write(true)
            .open(self.content.join(path))
            .unwrap();
        let time = UNIX_EPOCH + Duration::from_secs(1_750_000_000);
        file.set_modified(time).unwrap();
    }

    pub fn mkdir(&self, path: &str) {
        fs::create_dir_all(self.content.join(path)).unwrap();
    }

    pub fn remove(&self, path: &str) {
        let path = self.content.join(path);
        if path.is_dir() {
            fs::remove_dir_all(path)
        } else {
            fs::remove_file(path)
        }
        .unwrap();
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.content.join(from), self.content.join(to)).unwrap();
    }

    // What both sides hold.

    /// What a person sees in the content dir.
    pub fn local_tree(&self) -> Tree {
        let mut tree = Tree::new();
        walk(&self.content, "", &mut tree);
        tree.retain(|path, _| !is_own(path));
        tree
    }

    /// Temporary files in the content dir, and the names in the state directory.
    pub fn own_files(&self) -> Vec<String> {
        let mut tree = Tree::new();
        walk(&self.content, "", &mut tree);
        tree.retain(|path, _| is_own(path));
        let mut names: Vec<String> = tree.into_keys().collect();
        for entry in fs::read_dir(&self.state).into_iter().flatten() {
            names.push(format!("state: {}", entry.unwrap().file_name().display()));
        }
        names.sort();
        names
    }

    pub fn remote_tree(&self) -> Tree {
        let entry = |(path, node): (String, Node)| {
            let name = path.trim_start_matches('/').to_owned();
            match node {
                Node::Folder => Some((format!("{name}/"), Vec::new())),
                // The last request of a killed pass may still be carried out, and delete it.
                Node::File { .. } => Some((name, self.dropbox.read(&path)?)),
            }
        };
        self.dropbox.tree().into_iter().filter_map(entry).collect()
    }

    pub fn trees(&self) -> Trees {
        Trees {
            local: self.local_tree(),
            remote: self.remote_tree(),
        }
    }
}

/// Both sides at one time.
#[derive(Clone, PartialEq, Eq)]
pub struct Trees {
    pub local: Tree,
    pub remote: Tree,
}

/// What a history comes to if nothing disturbs it.
pub struct Wanted {
    pub before: Trees,
    pub after: Trees,
    pub own_files: Vec<String>,
}

impl Wanted {
    /// Every file is whole, in one of its two versions, and none is missing: at any instant.
    pub fn check_whole(&self, now: &Trees, when: &str) {
        check_whole(&self.before.local, &self.after.local, &now.local, when);
        check_whole(&self.before.remote, &self.after.remote, &now.remote, when);
    }

    /// Both sides are as the undisturbed history leaves them.
    pub fn check_after(&self, now: &Trees, when: &str) {
        let (local, remote) = (differences(&self.after.local, &now.local), &now.remote);
        let remote = differences(&self.after.remote, remote);
        assert!(local.is_empty(), "{when}: the content dir: {local:?}");
        assert!(remote.is_empty(), "{when}: Dropbox: {remote:?}");
    }

    /// At most two passes end well and leave what the undisturbed history leaves; one more asks
    /// one question and finds nothing to do.
    pub fn check_heals(&self, gateway: &Gateway, when: &str) {
        let first = gateway.sync();
        self.check_whole(&gateway.trees(), &format!("{when}, and a pass: {first:?}"));
        assert!(matches!(first.code, Some(0 | 3)), "{when}: {first:?}");
        let second = gateway.sync();
        assert_eq!(second.code, Some(0), "{when}: {first:?} {second:?}");
        self.check_after(&gateway.trees(), when);
        let idle = gateway.sync();
        assert_eq!(idle.code, Some(0), "{when}: {idle:?}");
        let requests = gateway.dropbox.requests();
        let routes: Vec<&str> = requests.iter().map(|call| call.route.as_str()).collect();
        assert_eq!(routes, ["files/list_folder/continue"], "{when}");
        self.check_after(&gateway.trees(), when);
        let mut own_files = gateway.own_files();
        own_files.retain(|name| !self.own_files.contains(name));
        assert!(own_files.is_empty(), "{when}: left over: {own_files:?}");
    }
}

fn check_whole(before: &Tree, after: &Tree, now: &Tree, when: &str) {
    for (path, content) in now {
        let known = [before.get(path), after.get(path)];
        assert!(
            known.contains(&Some(content)),
            "{when}: {path} holds {} bytes nobody wrote there: {:.60}",
            content.len(),
            String::from_utf8_lossy(content),
        );
    }
    for (path, old) in before {
        let Some(new) = after.get(path) else { continue };
        // Moved aside, the new version on its way: its copy is there.
        let is_aside = old != new && now.values().any(|content| content == old);
        assert!(now.contains_key(path) || is_aside, "{when}: {path} is gone");
    }
}

fn differences(wanted: &Tree, now: &Tree) -> Vec<String> {
    let paths = wanted.keys().chain(now.keys());
    let mut differing: Vec<String> = paths
        .filter(|path| wanted.get(*path) != now.get(*path))
        .map(|path| match (wanted.get(path), now.get(path)) {
            (Some(_), None) => format!("{path} is missing"),
            (None, Some(_)) => format!("{path} should not be there"),
            _ => format!("{path} differs"),
        })
        .collect();
    differing.sort();
    differing.dedup();
    differing
}

fn is_own(path: &str) -> bool {
    path.rsplit('/').next().unwrap().starts_with(".ferrybox")
}

fn walk(dir: &Path, prefix: &str, tree: &mut Tree) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            // What mkfs makes; nobody syncs it.
            if path != "lost+found" {
                tree.insert(format!("{path}/"), Vec::new());
                walk(&entry.path(), &format!("{path}/"), tree);
            }
        } else {
            tree.insert(path, fs::read(entry.path()).unwrap());
        }
    }
}

/// Runs `check`, so that one failure does not hide the others; whether it failed.
pub fn fails(check: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err()
}

/// Says something whether or not the test's output is shown.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
