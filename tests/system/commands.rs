//! The command line: exit codes, silence, the plan, the envelope.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::console::{Console, Said, said};
use crate::json::of_type;

fn ready() -> Console {
    let console = Console::new();
    console.authenticate();
    console
}

#[test]
fn a_first_sync_goes_end_to_end() {
    let console = ready();
    console.put("here", "h");
    console.dropbox.put("/there", b"t");
    let said = console.run(&["sync"]);
    assert_eq!(
        (said.code, said.out.as_str(), said.err.as_str()),
        (0, "", ""),
        "silent in cron"
    );
    assert_eq!(console.dropbox.read("/here").unwrap(), b"h");
    assert_eq!(
        fs::read_to_string(console.content().join("there")).unwrap(),
        "t"
    );
    let said = console.run(&["sync", "-v"]);
    assert!(said.err.contains("nothing to do"), "{}", said.err);
}

#[test]
fn verbose_says_one_line_per_action_and_a_summary() {
    let console = ready();
    console.put("here", "h");
    let said = console.run(&["-v", "sync"]);
    assert!(
        said.err.contains("uploaded /here (1 byte)\n"),
        "{}",
        said.err
    );
    assert!(
        said.err.ends_with("1 uploaded, 1 byte sent\n"),
        "{}",
        said.err
    );
}

#[test]
fn problems_are_said_even_in_cron_with_one_summary_line() {
    let console = ready();
    console.put("back\\slash", "x");
    console.put("good", "g");
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 3);
    let lines: Vec<_> = said.err.lines().collect();
    assert_eq!(lines.len(), 2, "{}", said.err);
    assert!(lines[0].contains("/back\\\\slash: "), "{}", said.err);
    assert!(
        lines[1].contains("1 uploaded, 1 with a problem"),
        "{}",
        said.err
    );
}

#[test]
fn a_conflict_is_said_even_in_cron() {
    let console = ready();
    console.put("f", "one");
    console.dropbox.put("/f", b"another");
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err
            .contains("conflict: /f local version kept as f (conflicted copy "),
        "{}",
        said.err
    );
}

#[test]
fn the_plan_is_data_on_stdout() {
    let console = ready();
    console.put("here", "h");
    let said = console.run(&["sync", "--dry-run"]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (0, "would upload /here (1 byte)\n")
    );
    let total = "dry run, nothing was changed; planned: 1 uploaded, 1 byte sent\n";
    assert!(said.err.ends_with(total), "{}", said.err);
    assert_eq!(console.dropbox.read("/here"), None);
    assert!(!console.content().join(".ferrybox-root").exists());
}

#[test]
fn a_file_that_outgrows_the_limit_is_named_once() {
    let console = ready();
    let text = console.config_text();
    let limited = text.replace("[sync]\n", "[sync]\nmax_file_size = \"1 MB\"\n");
    console.write_config(&limited);
    console.put("log", "small");
    console.put("never in step", &"n".repeat(1_000_001));
    let said = console.run(&["sync"]);
    let first = "left out because larger than 1 MB (sync.max_file_size): 1 file";
    assert!(said.err.contains(first), "{}", said.err);
    console.put("log", &"x".repeat(1_000_001));
    let told = "/log: it grew beyond 1 MB (sync.max_file_size) and is left out from now on";
    let plan = console.run(&["sync", "--dry-run"]);
    assert!(plan.err.contains(told), "{}", plan.err);
    let said = console.run(&["sync"]);
    assert_eq!(said.err.lines().count(), 1, "{}", said.err);
    assert!(said.err.contains(told), "{}", said.err);
    console.put("log", &"y".repeat(1_000_002));
    assert_eq!(console.run(&["sync"]).err, "", "once");
    let said = console.run(&["sync", "-v"]);
    for path in ["/log", "/never in step"] {
        let named = format!("{path}: left out: larger than 1 MB (sync.max_file_size)");
        assert!(said.err.contains(&named), "{}", said.err);
    }
    // Smaller again it travels, and the next time is another one.
    console.put("log", "small again");
    assert_eq!(console.run(&["sync"]).code, 0);
    assert_eq!(console.dropbox.read("/log").unwrap(), b"small again");
    console.put("log", &"z".repeat(1_000_003));
    let said = console.run(&["sync"]);
    assert!(said.err.contains(told), "{}", said.err);
}

#[test]
fn a_halt_prints_the_whole_command_that_lets_it_through() {
    let console = ready();
    for i in 0..30 {
        console.put(&format!("f{i}"), "x");
    }
    console.put("keep", "k");
    assert_eq!(console.run(&["sync"]).code, 0);
    for i in 0..30 {
        fs::remove_file(console.content().join(format!("f{i}"))).unwrap();
    }
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 5, "{}", said.err);
    let command = said
        .err
        .split("sync --approve ")
        .nth(1)
        .expect("the command");
    let id = command.split_whitespace().next().unwrap();
    assert_eq!(console.run(&["sync", "--approve", id]).code, 0);
    assert_eq!(console.dropbox.tree().len(), 1);
}

#[test]
fn litter_and_odd_times_are_counted_in_a_line_each() {
    let console = ready();
    for name in ["Thumbs.db", "desktop.ini", "old", "older", "new"] {
        console.put(name, name);
    }
    for name in ["old", "older"] {
        let file = fs::File::options()
            .write(true)
            .open(console.content().join(name));
        let before_1970 = std::time::UNIX_EPOCH - std::time::Duration::from_secs(86_400);
        file.unwrap().set_modified(before_1970).unwrap();
    }
    let said = console.run(&["-v", "sync"]);
    assert_eq!(said.code, 0, "{}", said.err);
    for (text, count) in [("such names (Thumbs.db", 2), ("from 1970 to 2099", 2)] {
        let lines: Vec<_> = said
            .err
            .lines()
            .filter(|line| line.contains(text))
            .collect();
        assert_eq!(lines.len(), 1, "{text}: {}", said.err);
        assert!(lines[0].contains(&format!("{count} files")), "{}", lines[0]);
    }
    for name in ["/old: ", "/older: "] {
        let named = format!("{name}it was last modified before 1970");
        assert!(said.err.contains(&named), "{}", said.err);
    }
    let again = console.run(&["sync"]);
    assert_eq!(
        (again.code, &*again.err),
        (0, ""),
        "nothing but that is worth a word"
    );
}

#[test]
fn wrong_usage_ends_with_2_and_help_with_0() {
    let console = Console::new();
    assert_eq!(console.run(&["sing"]).code, 2);
    assert_eq!(
        console
            .run(&["sync", "--upload-only", "--download-only"])
            .code,
        2
    );
    assert_eq!(console.run(&["sync", "--approve"]).code, 2);
    let help = console.run(&["--help"]);
    assert_eq!(help.code, 0);
    for text in [
        "startAuthentication",
        "finishAuthentication",
        "sync",
        "logout",
        "78",
    ] {
        assert!(help.out.contains(text), "{text}: {}", help.out);
    }
    assert!(console.run(&["--version"]).out.starts_with("ferrybox "));
}

/// Whoever copied the binary alone has them, too. No configuration is needed.
#[test]
fn the_manual_and_the_completions_come_out_of_the_binary() {
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferrybox"));
        said(command.env_clear().args(args).output().unwrap())
    };
    let page = run(&["man"]);
    assert_eq!((page.code, page.err.as_str()), (0, ""));
    assert!(page.out.starts_with(".TH FERRYBOX 1 "), "{}", page.out);
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell]);
        assert_eq!((script.code, script.err.as_str()), (0, ""), "{shell}");
        assert!(script.out.contains("max-time"), "{shell}: {}", script.out);
    }
    let unknown = run(&["completions", "tcsh"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (2, ""));
    assert!(unknown.err.contains("bash, zsh, fish"), "{}", unknown.err);
}

/// What bash offers for the last of these words, with blanks between.
fn completed(script: &str, words: &str) -> String {
    let line = format!(
        "{script}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n\
         compopt() {{ echo files; }}\n_ferrybox; echo ${{COMPREPLY[*]}}"
    );
    let output = Command::new("bash").args(["-c", &line]).output().unwrap();
    assert!(output.stderr.is_empty(), "{words}: {output:?}");
    let out = String::from_utf8(output.stdout).unwrap();
    out.trim().to_owned()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let console = Console::new();
    let script = console.run(&["completions", "bash"]).out;
    for (words, offered) in [
        ("ferrybox sy", "sync"),
        ("ferrybox sync --d", "--download-only --dry-run"),
        ("ferrybox login --q", "--quiet"),
        // The value of an option is no command, whatever it is called.
        ("ferrybox --config run sync --up", "--upload-only"),
        ("ferrybox --config = run sync --up", "--upload-only"),
        ("ferrybox sync --config ''", "files"),
        ("ferrybox sync --max-time ''", ""),
        ("ferrybox completions ''", "bash zsh fish"),
        ("ferrybox help st", "status startAuthentication"),
    ] {
        assert_eq!(completed(&script, words), offered, "{words}");
    }
}

/// As `ferrybox --help | head -1` does it.
#[test]
fn a_reader_that_goes_away_ends_the_help_in_peace() {
    for args in [&["--help"][..], &["completions", "zsh"], &["man"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferrybox"));
        let output = command.args(args).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{args:?}: {output:?}");
    }
}

#[test]
fn bad_configuration_is_one_line_a_fault_with_file_line_key_and_remedy_and_ends_with_78() {
    let console = Console::new();
    let good = console.config_text();
    let content_dir = console.content().display().to_string();
    for (from, to, line, words) in [
        ("app_key", "app_kee", 2, "app_key"),
        ("\"BIDIRECTIONAL\"", "\"SIDEWAYS\"", 5, "LOCAL_TO_DROPBOX"),
        ("\"BIDIRECTIONAL\"", "7", 5, "sync.mode"),
        ("mode = ", "exclude = [\"a*+\"]\nmode = ", 5, "possessive"),
        ("mode = ", "upload_filter = [\"(?!x)\"]\nmode = ", 5, "look"),
        (
            content_dir.as_str(),
            "/nonexistent-dir",
            4,
            "sync.content_dir",
        ),
        ("[state]", "[state", 6, "config.toml:6"),
    ] {
        console.write_config(&good.replacen(from, to, 1));
        let said = console.run(&["sync"]);
        assert_eq!(said.code, 78, "{to}: {}", said.err);
        // What the misspelt key was to say is missing as well.
        let faults = if to == "app_kee" { 2 } else { 1 };
        assert_eq!(said.err.lines().count(), faults, "{to}: {}", said.err);
        let place = format!("config.toml:{line}");
        assert!(said.err.contains(&place), "{to}: {}", said.err);
        assert!(said.err.contains(words), "{to}: {}", said.err);
    }
}

#[test]
fn a_missing_configuration_says_where_it_was_looked_for() {
    let console = Console::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrybox"));
    command
        .env_clear()
        .env("HOME", console.path("home"))
        .arg("sync");
    let said = said(command.output().unwrap());
    if !Path::new("/etc/ferrybox/config.toml").exists() {
        assert_eq!(said.code, 78, "{}", said.err);
        assert!(
            said.err.contains("/etc/ferrybox/config.toml"),
            "{}",
            said.err
        );
    }
}

#[test]
fn the_configuration_is_found_by_its_variable_and_after_the_command() {
    let console = ready();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrybox"));
    command
        .env_clear()
        .env("RUNTIME_DIRECTORY", console.runtime());
    command
        .env("FERRYBOX_CONFIG", console.path("config.toml"))
        .arg("sync");
    assert_eq!(said(command.output().unwrap()).code, 0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrybox"));
    command
        .env_clear()
        .args(["sync", "--config"])
        .arg(console.path("config.toml"));
    assert_eq!(said(command.output().unwrap()).code, 0);
}

/// W5: a name looks like no other one, and like nothing that is no name; JSON has it as it is.
#[test]
fn w5_names_show_as_what_they_are_and_json_has_them_as_they_are() {
    let console = ready();
    let name = "\u{202e}gnp\u{2028}\u{200b}\\u{1b}";
    let shown = "/\\u{202e}gnp\\u{2028}\\u{200b}\\\\u{1b}: ";
    console.put(name, "x");
    let log = console.path("f.log");
    console.write_config(&format!(
        "{}[log]\nfile = \"{}\"\nforce = true\n",
        console.config_text(),
        log.display()
    ));
    let said = console.run(&["sync", "-v"]);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains(shown), "{}", said.err);
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains(shown), "{log}");
    let said = console.run(&["sync", "--json"]);
    let problem = &of_type(&said.out, "problem")[0];
    assert_eq!(problem["path"], format!("/{name}"));
    let other = "b\u{202e}\u{1b}[2J";
    console.put(other, "x");
    let said = console.run(&["sync", "--dry-run", "--json"]);
    let is_raw = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{2028}\u{200b}".contains(c));
    assert!(!said.out.contains(is_raw), "{}", said.out);
    let change = &of_type(&said.out, "change")[0];
    assert_eq!(change["path"], format!("/{other}"), "{}", said.out);
    let said = console.run(&["sync", "--dry-run"]);
    let line = "would upload /b\\u{202e}\\u{1b}[2J (1 byte)\n";
    assert_eq!(said.out, line);
}

#[test]
fn under_journald_lines_carry_their_priority() {
    let console = ready();
    console.put("back\\slash", "x");
    let mut command = console.command(&["sync", "-v"]);
    let said = said(command.env("JOURNAL_STREAM", "8:1").output().unwrap());
    assert!(
        said.err.lines().all(|line| line.starts_with('<')),
        "{}",
        said.err
    );
    assert!(said.err.contains("<4>/back\\\\slash: "), "{}", said.err);
}

#[test]
fn a_gateway_that_is_offline_ends_with_7() {
    let console = ready();
    let text = console.config_text();
    let dead = |line: &str| {
        if line.starts_with("api") {
            "api = \"http://127.0.0.1:9\"".to_owned()
        } else {
            line.into()
        }
    };
    let lines: Vec<String> = text.lines().map(dead).collect();
    console.write_config(&lines.join("\n"));
    let said = console.run(&["sync"]);
    assert_eq!(
        (said.code, said.err.as_str()),
        (7, ""),
        "not for a while yet"
    );
    let said = console.run(&["sync", "-v"]);
    assert!(said.err.contains("cannot reach Dropbox"), "{}", said.err);
}

/// B4: a few lines of each kind, then a count; everything in the JSON.
#[test]
fn b4_at_most_twenty_lines_of_a_kind_are_said() {
    let console = Console::new();
    console.authenticate();
    for number in 0..1500 {
        console.put(&format!("back\\slash{number}"), "x");
    }
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 3, "{}", said.err);
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!(lines.len(), 22, "{}", said.err);
    assert!(
        lines[20].starts_with("warning: ... and 1,480 more like this: ")
            && lines[20].ends_with("; all of them with --json"),
        "{}",
        said.err
    );
    assert_eq!(lines[21], "warning: 1,500 with problems");
    let said = console.run(&["--json", "sync"]);
    assert_eq!(of_type(&said.out, "problem").len(), 1500);
    let said = console.run(&["sync", "-v"]);
    let told = said
        .err
        .lines()
        .filter(|line| line.contains("backslash in"));
    assert_eq!(told.count(), 1500, "who asks for all gets all");
}

/// B4: what a person at a terminal sees, and what a halt holds back.
#[test]
fn b4_the_same_goes_for_what_was_done_and_for_what_a_halt_holds_back() {
    let console = Console::new();
    console.authenticate();
    for number in 0..60 {
        console.put(&format!("f{number}"), &number.to_string());
    }
    console.write_config(&format!(
        "{}[log]\nfile = \"{}\"\n",
        console.config_text(),
        console.path("log").display()
    ));
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let log = fs::read_to_string(console.path("log")).unwrap();
    assert_eq!(log.matches("uploaded /f").count(), 20, "{log}");
    assert!(
        log.contains("... and 40 more like this: uploaded; all of them with -v"),
        "{log}"
    );
    for number in 0..50 {
        fs::remove_file(console.content().join(format!("f{number}"))).unwrap();
    }
    let said = console.run(&["sync"]);
    assert_eq!(said.code, 5, "{}", said.err);
    assert_eq!(
        said.err.matches("would delete in Dropbox /f").count(),
        20,
        "{}",
        said.err
    );
    assert!(
        said.err
            .contains("... and 30 more; all of them with \"sync -n\""),
        "{}",
        said.err
    );
    // What was done all the same is said to who asks.
    console.put("new", "n");
    let said = console.run(&["sync", "-v"]);
    assert_eq!(said.code, 5, "{}", said.err);
    assert!(said.err.contains("1 uploaded"), "{}", said.err);
    let said = console.run(&["sync", "--json"]);
    assert_eq!(of_type(&said.out, "pending_delete").len(), 50);
}

/// The line of a message that holds this command, as it stands there.
fn printed<'a>(said: &'a str, command: &str) -> &'a str {
    let at = said.find(command).expect("the command");
    let start = said[..at]
        .rfind("ferrybox --config")
        .expect("its beginning");
    let end = said[at..].find('\n').map_or(said.len(), |end| at + end);
    said[start..end].trim_end_matches(['\'', '\n'])
}

/// Pastes a command into a shell that knows the program, and nothing of our configuration.
fn paste(console: &Console, command: &str) -> Said {
    let mut shell = Command::new("/bin/sh");
    let binary = Path::new(env!("CARGO_BIN_EXE_ferrybox"));
    shell.env_clear().env("PATH", binary.parent().unwrap());
    shell.env("RUNTIME_DIRECTORY", console.runtime());
    shell.args(["-c", command]).stdin(Stdio::null());
    said(shell.output().unwrap())
}

/// B3: every command that is printed can be pasted as it stands.
#[test]
fn b3_printed_commands_can_be_pasted() {
    for by_variable in [false, true] {
        let console = Console::new();
        let odd = console.path("my kitchen.toml");
        fs::rename(console.path("config.toml"), &odd).unwrap();
        let run = |words: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_ferrybox"));
            command
                .env_clear()
                .env("RUNTIME_DIRECTORY", console.runtime());
            match by_variable {
                true => command.env("FERRYBOX_CONFIG", &odd),
                false => command.arg("--config").arg(&odd),
            };
            said(command.args(words).stdin(Stdio::null()).output().unwrap())
        };
        let banner = run(&["login"]).out;
        let code = console.code_for(&banner);
        let finish = printed(&banner, "finishAuthentication").replace("<code>", &code);
        let said = paste(&console, &finish);
        assert_eq!(said.code, 0, "{finish}: {}", said.err);
        let next = printed(&said.out, "sync --dry-run");
        assert_eq!(paste(&console, next).code, 0, "{next}");
        for number in 0..40 {
            console.put(&format!("f{number}"), &number.to_string());
        }
        assert_eq!(run(&["sync"]).code, 0);
        for number in 0..30 {
            fs::remove_file(console.content().join(format!("f{number}"))).unwrap();
        }
        let halted = run(&["sync"]);
        assert_eq!(halted.code, 5, "{}", halted.err);
        let keep = printed(&halted.err, "sync --keep ");
        let approve = printed(&halted.err, "sync --approve ");
        let said = paste(&console, if by_variable { keep } else { approve });
        assert_eq!(said.code, 0, "{}", said.err);
        let here = fs::read_dir(console.content()).unwrap();
        let here = here.filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with('f')
        });
        let left = if by_variable { 40 } else { 10 };
        assert_eq!(here.count(), left);
        assert_eq!(console.dropbox.tree().len(), left);
    }
}

/// B3: an id of nothing is a mistake that is told; everything else is done.
#[test]
fn b3_an_unknown_id_is_told_and_ends_with_2() {
    let console = ready();
    console.put("a", "a");
    for option in ["--approve", "--keep"] {
        let said = console.run(&["sync", option, "0123456789abcdef"]);
        assert_eq!(said.code, 2, "{}", said.err);
        assert!(
            said.err
                .contains("0123456789abcdef is not what this pass would do"),
            "{}",
            said.err
        );
    }
    assert!(console.dropbox.read("/a").is_some(), "the pass has run");
    let said = console.run(&["--json", "sync", "--approve", "0123456789abcdef"]);
    assert_eq!(of_type(&said.out, "summary")[0]["error"]["code"], "usage");
}

/// B3: as root, where a service owns the state: the command is the one for that user.
#[test]
fn b3_the_state_of_another_user_is_left_alone_and_the_command_says_sudo() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let console = ready();
    std::os::unix::fs::chown(console.state(), Some(65_533), None).unwrap();
    let said = console.run(&["sync", "--dry-run"]);
    assert_eq!(said.code, 1, "{}", said.err);
    let config = console.path("config.toml");
    let command = format!(
        "sudo -u '#65533' ferrybox --config {} sync --dry-run",
        config.display()
    );
    assert!(said.err.trim_end().ends_with(&command), "{}", said.err);
}

/// B17: the true reason why files stay in Dropbox, and no command that would do nothing.
#[test]
fn b17_what_stays_in_dropbox_stays_for_the_reason_that_is_told() {
    for (keys, reason) in [
        (
            "mode = \"BIDIRECTIONAL\"\ndownload_filter = ['/in/.*']",
            "1 file in Dropbox that is not here stays there, because sync.download_filter does not \
             let them come down",
        ),
        (
            "mode = \"LOCAL_TO_DROPBOX\"",
            "1 file in Dropbox that is not here stays there, because LOCAL_TO_DROPBOX only \
             uploads; to bring here what sync.download_filter lets through: ferrybox --config ",
        ),
        (
            "mode = \"LOCAL_TO_DROPBOX\"\ndownload_filter = []",
            "because LOCAL_TO_DROPBOX only uploads, and sync.download_filter lets nothing through",
        ),
    ] {
        let console = ready();
        let text = console.config_text();
        let mode = text.lines().find(|line| line.starts_with("mode")).unwrap();
        console.write_config(&text.replace(mode, keys));
        console.dropbox.put("/there", b"t");
        let said = console.run(&["sync"]);
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(said.err.contains(reason), "{}", said.err);
        let advised = said.err.contains("--download-only");
        assert_eq!(advised, reason.contains("--config"), "{}", said.err);
        if advised {
            let command = said.err.trim_end();
            let at = command.find("ferrybox --config").unwrap();
            assert_eq!(paste(&console, &command[at..]).code, 0);
            assert!(console.content().join("there").exists());
        }
    }
}

/// B18: what the shipped crontab says of each of its lines is so.
#[test]
fn b18_the_shipped_crontab_says_for_which_mode_its_lines_are() {
    let shipped = include_str!("../../config/crontab");
    let halves = shipped.find("sync --upload-only").unwrap();
    let above = &shipped[shipped[..halves].rfind("\n\n").unwrap()..halves];
    assert!(
        above.contains("Only with mode = \"BIDIRECTIONAL\""),
        "{above}"
    );
    assert!(above.contains("In LOCAL_TO_DROPBOX\n# --download-only would bring back"));
    let active = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let lines: Vec<&str> = shipped.lines().filter(active).collect();
    assert_eq!(lines.len(), 1, "one is chosen, which is right in each mode");
    assert!(lines[0].ends_with("ferrybox sync"), "{}", lines[0]);
    // As it says.
    let console = ready();
    let text = console
        .config_text()
        .replace("BIDIRECTIONAL", "LOCAL_TO_DROPBOX");
    console.write_config(&text);
    console.put("gone", "g");
    assert_eq!(console.run(&["sync"]).code, 0);
    fs::remove_file(console.content().join("gone")).unwrap();
    assert_eq!(console.run(&["sync", "--download-only"]).code, 0);
    assert!(console.content().join("gone").exists());
}

/// C: who moves over from openHAB is told of its filters before anything is transferred, once.
#[test]
fn c_openhabs_defaults_are_named_before_a_first_pass() {
    let console = Console::new();
    let text = console.config_text();
    console.write_config(&text.replace("content_dir", "contentdir"));
    console.authenticate();
    console.put("a", "a");
    let told = "uploadfilter = \"openhab\" and downloadfilter = \"openhab\"";
    for command in [&["sync", "--dry-run"][..], &["sync"]] {
        let said = console.run(command);
        assert_eq!(said.code, 0, "{}", said.err);
        let first = said.err.lines().next().unwrap_or_default();
        assert!(
            first.contains(told) && first.contains("openHAB 2"),
            "{}",
            said.err
        );
    }
    assert_eq!(console.run(&["sync"]).err, "", "once");
    // Ours: nothing was taken for granted.
    let console = ready();
    assert_eq!(console.run(&["sync"]).err, "");
    // With a filter, whatever it is.
    let console = Console::new();
    let filter = "[sync]\nuploadfilter = \"openhab\"\n";
    let text = console.config_text().replace("[sync]\n", filter);
    console.write_config(&text.replace("content_dir", "contentdir"));
    console.authenticate();
    assert_eq!(console.run(&["sync"]).err, "");
}
