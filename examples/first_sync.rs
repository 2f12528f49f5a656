//! The main job, from the first authentication to a restored card, against a Dropbox stand-in
//! on loopback:
//!
//! ```text
//! cargo run --release --example first_sync [-- --keep]
//! ```
//!
//! The agent runs in child processes, as cron would start it: this example starts itself again
//! and hands over to the agent's own entry point. Every step is checked; the first one that does
//! not hold ends the example with exit code 1.
//!
//! `--keep` leaves the stand-in running and the files in place, to play with.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use dropbox_standin::{Endpoint, Listeners, Node, Standin};

/// Set in the children, which are the agent.
const AS_AGENT: &str = "FERRYBOX_EXAMPLE_AS_AGENT";

/// The Dropbox folder that is kept in step.
const REMOTE_ROOT: &str = "/Gateways/kitchen";

/// Paths below a root; a file has content, a folder has none.
type Tree = BTreeMap<String, Option<Vec<u8>>>;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    if std::env::var_os(AS_AGENT).is_some() {
        return ferrybox::cli::main();
    }
    let keep = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--keep") => true,
        Some(_) => {
            eprintln!("usage: cargo run --release --example first_sync [-- --keep]");
            return ExitCode::from(2);
        }
    };
    match show(keep) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nFAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn show(keep: bool) -> Result<()> {
    let stage = Stage::open(keep)?;
    println!("Dropbox stand-in at {}", stage.listeners.url(Endpoint::Www));
    println!("Everything below {}", stage.dir.display());
    stage.standin.put("/Photos/cat.jpg", b"not our business");
    stage.desktop_writes("README.txt", "Written on the desktop, long ago.\n");

    let kitchen = Gateway::new(&stage, "kitchen")?;
    back_up(&stage, &kitchen)?;
    keep_in_step(&stage, &kitchen)?;
    let new_card = Gateway::new(&stage, "new-card")?;
    restore(&stage, &new_card)?;

    headline("Both sides at the end");
    side_by_side(&stage, &new_card)?;
    check_same(&stage, &new_card, "the new card and Dropbox hold the same")?;
    check(
        stage.standin.read("/Photos/cat.jpg").as_deref() == Some(b"not our business"),
        "the rest of the Dropbox was left alone",
    )?;
    println!("\nAll checks passed.");
    match keep {
        true => leave_running(&stage),
        false => Ok(()),
    }
}

fn back_up(stage: &Stage, gateway: &Gateway) -> Result<()> {
    headline("1. A first backup: LOCAL_TO_DROPBOX");
    gateway.configure(stage, "LOCAL_TO_DROPBOX")?;
    gateway.write("items/kitchen.items", "Switch Kitchen_Light \"Light\"\n")?;
    gateway.write("rules/heating.rules", "// too cold, always\n")?;
    gateway.write("scenes/evening.txt", "dim the light\n")?;
    gateway.write("logs/old.log", "nothing of interest\n")?;
    let link = stage.ferrybox(gateway, "startAuthentication", "")?;
    let code = stage.click_allow(&link)?;
    stage.ferrybox(gateway, &format!("finishAuthentication {code}"), "")?;

    let before = (stage.files()?, stage.standin.tree());
    let plan = stage.ferrybox(gateway, "sync --dry-run", "")?;
    check(
        plan.contains("would upload /items/kitchen.items")
            && before == (stage.files()?, stage.standin.tree()),
        "the dry run said what would go up, and changed nothing here or there",
    )?;

    stage.ferrybox(gateway, "sync -v", "")?;
    let (local, remote) = (gateway.tree()?, stage.dropbox_tree());
    let is_there = |(path, file): (&String, &_)| remote.get(path) == Some(file);
    check(
        local.iter().all(is_there) && !local.contains_key("README.txt"),
        "everything local is in Dropbox, and nothing came down",
    )?;
    let again = stage.ferrybox(gateway, "sync -v", "")?;
    check(
        again.contains("nothing to do"),
        "the next run found nothing to do",
    )
}

fn keep_in_step(stage: &Stage, gateway: &Gateway) -> Result<()> {
    headline("2. Edits on both sides, and a conflict: BIDIRECTIONAL");
    gateway.configure(stage, "BIDIRECTIONAL")?;
    stage.desktop_writes("rules/heating.rules", "// warm from 6 to 22\n");
    stage.desktop_writes("scenes/evening.txt", "the desktop's evening\n");
    gateway.write("scenes/evening.txt", "the gateway's evening\n")?;
    gateway.write("items/kitchen.items", "Dimmer Kitchen_Light \"Light\"\n")?;
    fs::remove_file(gateway.content_dir.join("logs/old.log"))?;

    stage.ferrybox(gateway, "sync --dry-run", "")?;
    stage.ferrybox(gateway, "sync -v", "")?;
    let remote = stage.dropbox_tree();
    let holds = |path: &str, text: &str| remote.get(path) == Some(&Some(text.into()));
    check_same(stage, gateway, "both sides hold the same")?;
    check(
        holds("rules/heating.rules", "// warm from 6 to 22\n")
            && holds("items/kitchen.items", "Dimmer Kitchen_Light \"Light\"\n")
            && !remote.contains_key("logs/old.log"),
        "the desktop's edit came down; the gateway's edit and delete went up",
    )?;
    let is_copy = |path: &&String| path.starts_with("scenes/evening (conflicted copy kitchen ");
    let copy = remote.keys().find(is_copy);
    check(
        holds("scenes/evening.txt", "the desktop's evening\n")
            && copy.is_some_and(|copy| holds(copy, "the gateway's evening\n")),
        "of two edits Dropbox's took the name, and the gateway's was kept beside it",
    )
}

fn restore(stage: &Stage, gateway: &Gateway) -> Result<()> {
    headline("3. The SD card died; a fresh one: DROPBOX_TO_LOCAL");
    gateway.configure(stage, "DROPBOX_TO_LOCAL")?;
    let link = stage.ferrybox(gateway, "startAuthentication", "")?;
    // As pasted, quotation marks and all, into stdin this time.
    let pasted = format!("  \"{}\"\n", stage.click_allow(&link)?);
    stage.ferrybox(gateway, "finishAuthentication", &pasted)?;

    stage.ferrybox(gateway, "sync -v", "")?;
    check_same(stage, gateway, "everything is back")?;

    stage.standin.remove(&format!("{REMOTE_ROOT}/README.txt"));
    stage.desktop_writes("rules/holidays.rules", "// off until Sunday\n");
    stage.ferrybox(gateway, "sync -v", "")?;
    check_same(
        stage,
        gateway,
        "later changes in Dropbox, a deletion among them, came down",
    )
}

fn leave_running(stage: &Stage) -> Result<()> {
    let dir = stage.dir.display();
    stage.write_command()?;
    println!(
        "\nThe stand-in runs until Ctrl-C. Two gateways share its folder {REMOTE_ROOT}. In another \
         terminal:\n\n  \
         export PATH=\"{dir}/bin:$PATH\"\n\n\
         Change files in {dir}/kitchen (BIDIRECTIONAL)\nor {dir}/new-card (DROPBOX_TO_LOCAL), \
         then\n\n  \
         ferrybox --config {dir}/kitchen.toml sync -v\n  \
         ferrybox --config {dir}/new-card.toml sync -v\n\n\
         What a halt prints can be pasted there as well. For an edit made on dropbox.com let the \
         second\ngateway send its own, too; what it sends is one for the first:\n\n  \
         sed -i s/DROPBOX_TO_LOCAL/BIDIRECTIONAL/ {dir}/new-card.toml\n  \
         echo '// edited elsewhere' >> {dir}/new-card/rules/heating.rules\n  \
         ferrybox --config {dir}/new-card.toml sync -v\n  \
         ferrybox --config {dir}/kitchen.toml sync -v\n\n\
         Afterwards remove {dir}.",
    );
    loop {
        std::thread::park();
    }
}

/// The stand-in and a temporary directory for everything else.
struct Stage {
    standin: Standin,
    listeners: Listeners,
    dir: PathBuf,
    keep: bool,
}

impl Stage {
    fn open(keep: bool) -> Result<Stage> {
        let standin = Standin::new();
        standin.run_clock();
        let listeners = standin.listen()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let id = std::process::id();
        let dir = std::env::temp_dir().join(format!("ferrybox-first-sync-{id}-{now}"));
        fs::DirBuilder::new().mode(0o700).create(&dir)?;
        fs::create_dir(dir.join("run"))?;
        Ok(Stage {
            standin,
            listeners,
            dir,
            keep,
        })
    }

    /// Puts a command `ferrybox` into `bin`, which is the agent as it runs here: nothing else need
    /// be built, and what a halt prints works as it stands.
    fn write_command(&self) -> Result<()> {
        let bin = self.dir.join("bin");
        fs::create_dir(&bin)?;
        let agent = std::env::current_exe()?;
        let script = format!(
            "#!/bin/sh\n{AS_AGENT}=1 RUNTIME_DIRECTORY='{}' exec '{}' \"$@\"\n",
            self.dir.join("run").display(),
            agent.display(),
        );
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(bin.join("ferrybox"))?;
        Ok(file.write_all(script.as_bytes())?)
    }

    /// Runs one command of the agent, shows it, and returns what it printed.
    fn ferrybox(&self, gateway: &Gateway, words: &str, stdin: &str) -> Result<String> {
        let config = gateway.config();
        let line = format!("ferrybox --config {config} {words}");
        match stdin.trim_end() {
            "" => println!("\n$ {line}"),
            text => println!("\n$ echo '{text}' | {line}"),
        }
        // One pipe for both, so that the lines stay in order.
        let (mut reader, writer) = std::io::pipe()?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--config", &config])
            .args(words.split(' '))
            .current_dir(&self.dir)
            .env(AS_AGENT, "1")
            .env("RUNTIME_DIRECTORY", self.dir.join("run"))
            .stdin(Stdio::piped())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        for name in ["FERRYBOX_CONFIG", "XDG_RUNTIME_DIR", "JOURNAL_STREAM"] {
            command.env_remove(name);
        }
        let mut child = command.spawn()?;
        // It holds our ends of the pipe.
        drop(command);
        if let Some(mut pipe) = child.stdin.take() {
            pipe.write_all(stdin.as_bytes())?;
        }
        let mut output = String::new();
        reader.read_to_string(&mut output)?;
        print!("{output}");
        match child.wait()?.code() {
            Some(0) => Ok(output),
            Some(code) => Err(format!("`{line}` ended with exit code {code}").into()),
            None => Err(format!("`{line}` was killed").into()),
        }
    }

    /// What a person does with the link: open it, click Allow, copy the code.
    fn click_allow(&self, printed: &str) -> Result<String> {
        let link = printed
            .split('\'')
            .find(|part| part.starts_with("http"))
            .ok_or("startAuthentication printed no link")?;
        let code = self.standin.approve(link)?;
        println!("  (in the browser: open the link, Allow, copy the code)");
        Ok(code)
    }

    /// Everything on this machine: content dirs, states, configurations.
    fn files(&self) -> Result<Tree> {
        let mut tree = Tree::new();
        collect(&self.dir, "", &mut tree)?;
        Ok(tree)
    }

    fn desktop_writes(&self, path: &str, text: &str) {
        self.standin
            .put(&format!("{REMOTE_ROOT}/{path}"), text.as_bytes());
    }

    fn dropbox_tree(&self) -> Tree {
        let below = |(path, node): (String, Node)| {
            let relative = path.strip_prefix(REMOTE_ROOT)?.strip_prefix('/')?;
            let content = match node {
                Node::Folder => None,
                Node::File { .. } => self.standin.read(&path),
            };
            Some((relative.to_owned(), content))
        };
        self.standin.tree().into_iter().filter_map(below).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// One machine with the agent on it: a content dir, a state directory and a configuration.
struct Gateway {
    name: &'static str,
    content_dir: PathBuf,
}

impl Gateway {
    fn new(stage: &Stage, name: &'static str) -> Result<Gateway> {
        let content_dir = stage.dir.join(name);
        fs::create_dir(&content_dir)?;
        Ok(Gateway { name, content_dir })
    }

    fn configure(&self, stage: &Stage, mode: &str) -> Result<()> {
        let mut text = format!(
            "[dropbox]\napp_key = \"standin-key\"\nremote_root = \"{REMOTE_ROOT}\"\n\n\
             [sync]\ncontent_dir = \"{}\"\nmode = \"{mode}\"\ndevice_name = \"{}\"\n",
            self.content_dir.display(),
            self.name,
        );
        println!("{}:", self.config());
        let shown = text.lines().filter(|line| line.contains('='));
        shown.for_each(|line| println!("  {line}"));
        let state_dir = stage.dir.join(self.name).with_extension("state");
        text += &format!(
            "\n[state]\ndir = \"{}\"\n\n[endpoints]\n",
            state_dir.display()
        );
        for endpoint in Endpoint::ALL {
            let (name, url) = (endpoint.name(), stage.listeners.url(endpoint));
            text += &format!("{name} = \"{url}\"\n");
        }
        Ok(fs::write(stage.dir.join(self.config()), text)?)
    }

    fn config(&self) -> String {
        format!("{}.toml", self.name)
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        let path = self.content_dir.join(path);
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        Ok(fs::write(path, text)?)
    }

    fn tree(&self) -> Result<Tree> {
        let mut tree = Tree::new();
        collect(&self.content_dir, "", &mut tree)?;
        // How the agent recognises the directory; it stays here.
        tree.remove(".ferrybox-root");
        Ok(tree)
    }
}

/// Adds everything in `dir`.
fn collect(dir: &Path, prefix: &str, tree: &mut Tree) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), tree)?;
            tree.insert(path, None);
        } else {
            tree.insert(path, Some(fs::read(entry.path())?));
        }
    }
    Ok(())
}

fn side_by_side(stage: &Stage, gateway: &Gateway) -> Result<()> {
    let (local, remote) = (gateway.tree()?, stage.dropbox_tree());
    let cell = |tree: &Tree, path: &str| match tree.get(path) {
        Some(Some(content)) => format!("{path} ({} bytes)", content.len()),
        Some(None) => format!("{path}/"),
        None => String::new(),
    };
    let paths: BTreeSet<&String> = local.keys().chain(remote.keys()).collect();
    let lines = paths.iter().map(|path| cell(&local, path).len());
    let width = lines.max().unwrap_or(0).max(gateway.name.len());
    println!("{:width$}   Dropbox {REMOTE_ROOT}", gateway.name);
    for path in paths {
        let same = local.get(path) == remote.get(path);
        let sign = if same { "=" } else { "!" };
        println!(
            "{:width$} {sign} {}",
            cell(&local, path),
            cell(&remote, path)
        );
    }
    Ok(())
}

fn headline(text: &str) {
    println!("\n== {text} ==");
}

fn check(holds: bool, what: &str) -> Result<()> {
    if !holds {
        return Err(format!("this does not hold: {what}").into());
    }
    println!("  ok: {what}");
    Ok(())
}

fn check_same(stage: &Stage, gateway: &Gateway, what: &str) -> Result<()> {
    let same = gateway.tree()? == stage.dropbox_tree();
    if !same {
        side_by_side(stage, gateway)?;
    }
    check(same, what)
}
