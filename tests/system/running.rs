//! `ferrybox run` as a process: passes at their times, woken by Dropbox or by what changes here.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dropbox_standin::{Effect, Fault, When};
use rustix::process::{Pid, Signal};

use crate::gateway::Gateway;

/// A gateway on which `run` is at work.
struct Running {
    gateway: Gateway,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn new(schedule: &str) -> Running {
        Running::with(Gateway::new(), schedule, |_| {})
    }

    fn with(gateway: Gateway, schedule: &str, change: impl FnOnce(&mut Command)) -> Running {
        gateway.configure_also(&format!("[schedule]\n{schedule}\n"));
        let mut command = gateway.command(&[], &["run"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        change(&mut command);
        let child = command.spawn().unwrap();
        Running { gateway, child }
    }

    /// What it says from now on, line by line.
    fn lines(&mut self) -> impl Iterator<Item = String> + use<> {
        let err = self.child.stderr.take().unwrap();
        BufReader::new(err).lines().map_while(std::io::Result::ok)
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The first pass is over, and Dropbox is asked to tell of changes; a longpoll that waits is
    /// no request yet to the stand-in.
    #[track_caller]
    fn listens(&self) {
        until("it begins", || self.calls_of("files/list_folder") > 0);
        std::thread::sleep(Duration::from_secs(1));
    }

    fn calls_of(&self, route: &str) -> usize {
        let requests = self.gateway.dropbox.requests();
        requests.iter().filter(|call| call.route == route).count()
    }
}

/// Waits until something holds; how long it took.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    start.elapsed()
}

/// Never in the time of a test.
const NEVER: &str = "upload_interval = '0 0 0 1 1 ? 2099'\ndownload_interval = '0 0 0 1 1 ? 2099'";
const PUSH: &str = "upload_interval = '0 0 0 1 1 ? 2099'\ndownload_interval = 'push'";

fn holds(path: &Path, content: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text == content)
}

#[test]
fn one_pass_at_the_start_makes_up_for_what_was_missed() {
    let gateway = Gateway::new();
    gateway.put("a", "a");
    gateway.dropbox.put("/b", b"b");
    let running = Running::with(gateway, NEVER, |_| {});
    let (gateway, here) = (&running.gateway, running.gateway.content.join("b"));
    until("both ways at the start", || {
        holds(&here, "b") && gateway.dropbox.read("/a").is_some()
    });
}

#[test]
fn passes_come_at_their_times() {
    let running =
        Running::new("upload_interval = '* * * * * ?'\ndownload_interval = '0 0 0 1 1 ? 2099'");
    let gateway = &running.gateway;
    until("it has begun", || running.calls_of("files/list_folder") > 0);
    gateway.put("a", "a");
    until("it goes up", || gateway.dropbox.read("/a").is_some());
    gateway.put("a", "b");
    until("and again", || {
        gateway.dropbox.read("/a").as_deref() == Some(b"b")
    });
}

#[test]
fn with_push_a_change_in_dropbox_arrives_within_seconds() {
    let running = Running::new(PUSH);
    let gateway = &running.gateway;
    running.listens();
    gateway.dropbox.put("/a", b"a");
    let here = gateway.content.join("a");
    let took = until("it arrives", || holds(&here, "a"));
    assert!(took < Duration::from_secs(5), "{took:?}");
    // It listens again, and asks nothing else meanwhile.
    until("a pass has followed", || {
        running.calls_of("files/download") > 0
    });
    std::thread::sleep(Duration::from_millis(1000));
    let before = gateway.dropbox.requests().len();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(gateway.dropbox.requests().len(), before);
    let requests = gateway.dropbox.requests();
    let poll = requests
        .iter()
        .find(|call| call.route.ends_with("longpoll"));
    let headers = format!("{:?}", poll.unwrap());
    assert!(
        !headers.to_lowercase().contains("authorization"),
        "{headers}"
    );
}

#[test]
fn with_push_what_goes_up_by_the_schedule_is_not_kept_waiting() {
    let running = Running::new("upload_interval = '0/3 * * * * ?'\ndownload_interval = 'push'");
    let gateway = &running.gateway;
    running.listens();
    gateway.put("a", "a");
    let took = until("it goes up", || gateway.dropbox.read("/a").is_some());
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn a_longpoll_that_fails_is_not_repeated_at_once() {
    let gateway = Gateway::new();
    gateway.dropbox.inject(Fault::new(
        "files/list_folder/longpoll",
        When::Always,
        Effect::Status(500, String::new()),
    ));
    let running = Running::with(gateway, PUSH, |_| {});
    until("it asks", || {
        running.calls_of("files/list_folder/longpoll") > 0
    });
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(running.calls_of("files/list_folder/longpoll"), 1);
}

/// R4: at a third failure in a row it is told, and passes look for changes instead.
#[test]
fn r4_where_dropbox_cannot_tell_of_changes_they_come_all_the_same() {
    let text = "Error in call to API function \"files/list_folder/longpoll\": request body: \
                cursor: unsupported cursor type";
    let spoilt = [
        Some(Effect::Status(400, text.to_owned())),
        Some(Effect::Status(404, String::new())),
        Some(Effect::Html),
        Some(Effect::CutBefore),
        // Nobody is there.
        None,
    ];
    let mut all: Vec<Running> = spoilt
        .into_iter()
        .map(|effect| {
            let gateway = Gateway::new();
            match effect {
                Some(effect) => {
                    let route = "files/list_folder/longpoll";
                    gateway
                        .dropbox
                        .inject(Fault::new(route, When::Always, effect));
                }
                None => gateway.reconfigure(|text| {
                    let line = text.lines().find(|line| line.starts_with("notify = "));
                    text.replace(line.unwrap(), "notify = \"http://127.0.0.1:9\"")
                }),
            }
            Running::with(gateway, PUSH, |_| {})
        })
        .collect();
    all.iter().for_each(Running::listens);
    for running in &all {
        running.gateway.dropbox.put("/a", b"a");
    }
    for running in &mut all {
        let here = running.gateway.content.join("a");
        until("it arrives", || holds(&here, "a"));
        let line = running.lines().next().unwrap();
        assert!(
            line.contains("cannot be asked to tell of changes"),
            "{line}"
        );
        assert!(line.contains("instead"), "{line}");
    }
}

#[test]
fn a_watched_content_dir_is_sent_when_it_has_settled() {
    let running = Running::new(&format!("{NEVER}\nwatch = true\nsettle_s = 1"));
    let gateway = &running.gateway;
    until("it has begun", || running.calls_of("files/list_folder") > 0);
    std::thread::sleep(Duration::from_millis(500));
    gateway.put("new/folder/a", "a");
    until("it goes up", || {
        gateway.dropbox.read("/new/folder/a").is_some()
    });
    // In a folder that was not there when the watching began.
    gateway.put("new/folder/b", "b");
    until("and the next", || {
        gateway.dropbox.read("/new/folder/b").is_some()
    });
    gateway.remove("new/folder/a");
    until("and a delete", || {
        gateway.dropbox.read("/new/folder/a").is_none()
    });
    std::thread::sleep(Duration::from_secs(4));
    let before = gateway.dropbox.requests().len();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(
        gateway.dropbox.requests().len(),
        before,
        "it has come to rest"
    );
}

#[test]
fn watching_and_push_go_together() {
    let running = Running::new(&format!("{PUSH}\nwatch = true\nsettle_s = 1"));
    let gateway = &running.gateway;
    running.listens();
    gateway.put("a", "a");
    let took = until("it goes up", || gateway.dropbox.read("/a").is_some());
    assert!(took < Duration::from_secs(8), "{took:?}");
    gateway.dropbox.put("/b", b"b");
    let here = gateway.content.join("b");
    let took = until("it arrives", || holds(&here, "b"));
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[test]
fn sighup_reads_the_configuration_again_and_a_bad_one_changes_nothing() {
    let mut running = Running::new(NEVER);
    until("it has begun", || running.calls_of("files/list_folder") > 0);
    let mut lines = running.lines();
    let file = running.gateway.home.join("config.toml");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{good}\nsettle_s = 'x'\n")).unwrap();
    running.signal(Signal::HUP);
    let line = lines.next().unwrap();
    assert!(
        line.contains("settle_s") && line.ends_with("the configuration stays as it was"),
        "{line}"
    );
    let often = good.replace(
        "upload_interval = '0 0 0 1 1 ? 2099'",
        "upload_interval = '* * * * * ?'",
    );
    fs::write(&file, often).unwrap();
    running.gateway.put("a", "a");
    running.signal(Signal::HUP);
    until("the new times hold", || {
        running.gateway.dropbox.read("/a").is_some()
    });
}

#[test]
fn sighup_is_heard_while_it_listens_to_dropbox() {
    let mut running = Running::with(Gateway::new(), PUSH, |command| {
        command.arg("-v");
    });
    running.listens();
    let mut lines = running.lines();
    running.signal(Signal::HUP);
    assert!(lines.any(|line| line.ends_with("has been read again")));
}

#[test]
fn sigterm_ends_it_at_once() {
    let mut running = Running::new(PUSH);
    running.listens();
    running.signal(Signal::TERM);
    let status = running.child.wait().unwrap();
    assert_eq!(status.signal(), Some(15));
}

/// B2: somebody signs in while it waits, and it goes on at once.
#[test]
fn b2_without_a_sign_in_it_waits_for_one_and_goes_on() {
    let gateway = Gateway::new();
    gateway.put("a", "a");
    gateway.use_app();
    let mut running = Running::with(gateway, NEVER, |_| {});
    let mut lines = running.lines();
    let told: Vec<String> = lines
        .by_ref()
        .take_while(|line| !line.contains("waiting for somebody to sign in"))
        .collect();
    assert!(told.concat().contains("U S E R   I N T E R A C T I O N"));
    let link = crate::console::link(&told.join("\n"));
    let code = running.gateway.dropbox.approve(&link).unwrap();
    let ended = running.gateway.run(&[], &["finishAuthentication", &code]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let took = until("it goes on", || {
        running.gateway.dropbox.read("/a").is_some()
    });
    assert!(took < Duration::from_secs(10), "{took:?}");
    let line = lines.next().unwrap();
    assert!(line.contains("in step again, after 1 run that"), "{line}");
}

/// B2: a token of the configuration that is none is told once, and waited out.
#[test]
fn b2_a_refused_token_is_told_once_and_waited_out() {
    let gateway = Gateway::new();
    let file = gateway.home.join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    let other = text.replace(
        "personal_access_token = \"",
        "personal_access_token = \"not-",
    );
    fs::write(&file, other).unwrap();
    let mut running = Running::with(gateway, "upload_interval = '* * * * * ?'", |_| {});
    let mut lines = running.lines();
    assert!(lines.next().unwrap().contains("personal access token"));
    assert!(lines.next().unwrap().contains("waiting for somebody"));
    until("it asks again", || {
        running.gateway.dropbox.requests().len() > 2
    });
    let asked = |text: &str| text.matches("personal_access_token").count();
    let good = fs::read_to_string(&file).unwrap().replace("not-", "");
    assert_eq!(asked(&good), 1);
    fs::write(&file, good).unwrap();
    running.signal(Signal::HUP);
    let line = lines.next().unwrap();
    assert!(line.contains("in step again, after"), "{line}");
}

/// B2: a disk that comes late, or goes for a while; and what is another directory until it is back.
#[test]
fn b2_a_content_dir_that_is_away_is_waited_for_and_told_once() {
    for is_replaced in [false, true] {
        let gateway = Gateway::new();
        for name in ["a", "b", "c", "d"] {
            gateway.put(name, name);
        }
        gateway.sync_ok();
        let (content, away) = (gateway.content.clone(), gateway.home.join("away"));
        fs::rename(&content, &away).unwrap();
        if is_replaced {
            fs::create_dir(&content).unwrap();
        }
        let mut running = Running::with(gateway, "upload_interval = '* * * * * ?'", |_| {});
        let mut lines = running.lines();
        let line = lines.next().unwrap();
        assert!(
            line.contains("mounted") || line.contains("mount its disk"),
            "{line}"
        );
        assert!(lines.next().unwrap().contains("mended or answered"));
        std::thread::sleep(Duration::from_secs(3));
        if is_replaced {
            fs::remove_dir(&content).unwrap();
        }
        fs::rename(&away, &content).unwrap();
        let line = lines.next().unwrap();
        assert!(line.contains("in step again, after"), "{line}");
        assert_eq!(running.gateway.dropbox.tree().len(), 4);
        running.gateway.put("e", "e");
        until("it goes on", || {
            running.gateway.dropbox.read("/e").is_some()
        });
    }
}

/// B2: before the first pass, too, when there is nothing to compare with.
#[test]
fn b2_a_content_dir_that_was_never_there_is_waited_for() {
    let gateway = Gateway::new();
    fs::remove_dir(&gateway.content).unwrap();
    let mut running = Running::with(gateway, "upload_interval = '* * * * * ?'", |_| {});
    let mut lines = running.lines();
    assert!(lines.next().unwrap().contains("sync.content_dir"));
    assert!(lines.next().unwrap().contains("waiting for this"));
    fs::create_dir(&running.gateway.content).unwrap();
    assert!(lines.next().unwrap().contains("in step again, after"));
}

/// B2: deletes are held, and told once; uploads go on.
#[test]
fn b2_a_halt_is_told_once_and_what_is_not_halted_goes_on() {
    let gateway = Gateway::new();
    for number in 0..40 {
        gateway.put(&format!("f{number}"), &number.to_string());
    }
    gateway.sync_ok();
    for number in 0..30 {
        gateway.remove(&format!("f{number}"));
    }
    let mut running = Running::with(gateway, "upload_interval = '* * * * * ?'", |_| {});
    let mut lines = running.lines();
    let told = lines
        .by_ref()
        .find(|line| line.contains("--approve "))
        .unwrap();
    let is_waiting = |line: String| line.contains("mended or answered");
    assert!(lines.by_ref().take(2).any(is_waiting), "after what it does");
    running.gateway.put("new", "new");
    until("uploads go on", || {
        running.gateway.dropbox.read("/new").is_some()
    });
    let id = told.split("--approve ").nth(1).unwrap();
    let id = id.split_whitespace().next().unwrap().to_owned();
    until("it is approved", || {
        running.gateway.run(&[], &["sync", "--approve", &id]).code == Some(0)
    });
    // Who has answered saw it, and this is told.
    let line = lines.find(|line| !line.contains("would delete")).unwrap();
    assert!(line.contains("in step again, after"), "{line}");
}

/// B2: and systemd starts it again over anything else.
#[test]
fn b2_the_units_give_up_only_over_usage_and_configuration() {
    for unit in [
        include_str!("../../config/ferrybox-run.service"),
        include_str!("../../config/ferrybox-run@.service"),
    ] {
        assert!(unit.contains("\nRestart=on-failure\n"), "{unit}");
        assert!(unit.contains("\nRestartPreventExitStatus=2 78\n"), "{unit}");
    }
}

/// B2: what is not a configuration ends it.
#[test]
fn b2_a_configuration_that_cannot_be_read_ends_it() {
    let gateway = Gateway::new();
    gateway.configure_also("[nonsense]\n");
    let mut running = Running::with(gateway, NEVER, |_| {});
    assert_eq!(running.child.wait().unwrap().code(), Some(78));
}

#[test]
fn the_service_manager_is_told_what_goes_on() {
    let gateway = Gateway::new();
    let socket_file = gateway.home.join("notify");
    let socket = UnixDatagram::bind(&socket_file).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let running = Running::with(gateway, NEVER, |command| {
        command.env("NOTIFY_SOCKET", &socket_file);
    });
    let next = || {
        let mut bytes = [0; 512];
        let count = socket.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    assert_eq!(next(), "READY=1");
    assert_eq!(next(), "STATUS=at work");
    assert_eq!(next(), "WATCHDOG=1");
    assert_eq!(next(), "STATUS=next pass at 2099-01-01 00:00:00");
    running.signal(Signal::HUP);
    assert_eq!(next(), "RELOADING=1");
    assert_eq!(next(), "READY=1");
}

#[test]
fn the_same_problem_is_told_once() {
    let gateway = Gateway::new();
    // A name that Dropbox does not take.
    gateway.put("back\\slash", "x");
    // Half the passes come down, and see no problem.
    let schedule = "upload_interval = '0/2 * * * * ?'\ndownload_interval = '1/2 * * * * ?'";
    let mut running = Running::with(gateway, schedule, |_| {});
    let mut lines = running.lines();
    assert!(lines.next().unwrap().contains("/back\\\\slash: "));
    assert!(lines.next().unwrap().contains("1 with a problem"));
    let passes = || running.calls_of("files/list_folder/continue");
    until("more passes", || passes() >= 3);
    running.gateway.put("and\\another", "x");
    let line = lines.next().unwrap();
    assert!(line.contains("/and\\\\another: "), "{line}");
}

/// A service that is started again says nothing that it has said today.
#[test]
fn a_problem_is_told_once_whether_or_not_it_was_started_again() {
    let gateway = Gateway::new();
    gateway.put("back\\slash", "x");
    let passes = |running: &Running| running.calls_of("files/list_folder/continue");
    let mut running = Running::with(gateway, "upload_interval = '* * * * * ?'", |_| {});
    let lines = running.lines();
    until("three passes", || passes(&running) > 2);
    running.signal(Signal::TERM);
    let told: Vec<_> = lines.collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("/back\\\\slash: "), "{told:?}");
    assert!(told[1].contains("1 with a problem"), "{told:?}");
    let before = passes(&running);
    let mut command = running.gateway.command(&[], &["run"]);
    running.child = command.stderr(Stdio::piped()).spawn().unwrap();
    let lines = running.lines();
    until("two more", || passes(&running) > before + 1);
    running.gateway.remove("back\\slash");
    let line = lines.take(1).collect::<String>();
    assert!(
        line.contains("/back\\\\slash: no longer a problem"),
        "{line}"
    );
}

#[test]
fn a_lock_that_another_run_holds_is_waited_for_in_silence() {
    let gateway = Gateway::new();
    gateway.sync_ok();
    let mut running = Running::with(gateway, "upload_interval = '* * * * * ?'", |_| {});
    until("it has begun", || {
        running.calls_of("files/list_folder/continue") > 1
    });
    let lines = running.lines();
    // Another run holds the lock.
    let state = fs::File::open(&running.gateway.state).unwrap();
    rustix::fs::flock(&state, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .or_else(|_| {
            std::thread::sleep(Duration::from_millis(300));
            rustix::fs::flock(&state, rustix::fs::FlockOperation::LockExclusive)
        })
        .unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let passes = running.calls_of("files/list_folder/continue");
    drop(state);
    until("it goes on", || {
        running.calls_of("files/list_folder/continue") > passes
    });
    running.signal(Signal::TERM);
    assert_eq!(lines.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn a_log_file_holds_what_was_done_and_an_idle_run_leaves_it_alone() {
    let gateway = Gateway::new();
    let log = gateway.home.join("ferrybox.log");
    gateway.configure_also(&format!("[log]\nfile = \"{}\"\n", log.display()));
    gateway.put("a", "a");
    gateway.sync_ok();
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains("uploaded /a"), "{text}");
    std::thread::sleep(Duration::from_millis(2100));
    gateway.sync_ok();
    let before = fs::metadata(&log).unwrap().modified().unwrap();
    gateway.sync_ok();
    assert_eq!(fs::metadata(&log).unwrap().modified().unwrap(), before);
}

#[test]
fn a_log_file_on_the_card_is_refused_with_advice_unless_forced() {
    let gateway = Gateway::new();
    // The root directory itself is on what this machine runs from.
    let section = "[log]\nfile = \"/ferrybox-test.log\"\n";
    gateway.configure_also(section);
    let ended = gateway.sync();
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(
        ended.err.contains("log.file") && ended.err.contains("/run"),
        "{ended:?}"
    );
    assert!(!Path::new("/ferrybox-test.log").exists());
}

#[test]
fn a_pass_ends_when_its_time_is_over_and_the_next_goes_on() {
    let gateway = Gateway::new();
    gateway.dropbox.inject(Fault::new(
        "files/upload",
        When::Always,
        Effect::TooManyRequests {
            retry_after: Some(5),
            as_text: false,
        },
    ));
    gateway.put("a", "a");
    let start = Instant::now();
    let ended = gateway.run(&[], &["sync", "-v", "--max-time", "3"]);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(ended.err.contains("--max-time"), "{ended:?}");
    gateway.dropbox.clear_faults();
    gateway.sync_ok();
    assert!(gateway.dropbox.read("/a").is_some());
}

#[test]
fn times_of_the_command_line_have_units() {
    let gateway = Gateway::new();
    for wrong in ["0", "-1", "8d", "x", "", "1000h"] {
        let ended = gateway.run(&[], &["sync", &format!("--max-time={wrong}")]);
        assert_eq!(ended.code, Some(2), "{wrong}: {ended:?}");
    }
    for right in ["20", "20s", "2m", "1h", "7d"] {
        let ended = gateway.run(&[], &["sync", "--max-time", right]);
        assert_eq!(ended.code, Some(0), "{right}: {ended:?}");
    }
}

#[test]
fn jitter_puts_a_start_off_by_a_part_of_it() {
    let gateway = Gateway::new();
    // The chance that ten random parts of a second are all below a tenth of one is 1e-10.
    let longest = (0..10)
        .map(|_| {
            let start = Instant::now();
            let ended = gateway.run(&[], &["sync", "--jitter", "1s"]);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            start.elapsed()
        })
        .max();
    let plain = Instant::now();
    gateway.sync_ok();
    assert!(longest > Some(plain.elapsed() + Duration::from_millis(100)));
}

#[test]
fn in_a_one_way_mode_the_next_runs_are_printed_at_once() {
    for (mode, way) in [("LOCAL_TO_DROPBOX", "up"), ("DROPBOX_TO_LOCAL", "down")] {
        let gateway = Gateway::new();
        let file = gateway.home.join("config.toml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("BIDIRECTIONAL", mode)).unwrap();
        let often = "upload_interval = '* * * * * ?'\ndownload_interval = '* * * * * ?'";
        gateway.configure_also(&format!("[schedule]\n{often}\n"));
        let start = Instant::now();
        let output = gateway.command(&[], &["schedule"]).output().unwrap();
        assert!(start.elapsed() < Duration::from_secs(5), "{mode}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), 10, "{text}");
        assert!(text.lines().all(|line| line.ends_with(way)), "{text}");
    }
}

#[test]
fn a_change_here_goes_up_although_a_download_comes_between() {
    let running = Running::new(
        "upload_interval = '0 0 0 1 1 ? 2099'\ndownload_interval = '* * * * * ?'\n\
         watch = true\nsettle_s = 3",
    );
    running.listens();
    running.gateway.put("a", "a");
    until("it goes up", || {
        running.gateway.dropbox.read("/a").is_some()
    });
}

#[test]
fn a_change_here_goes_up_although_the_configuration_is_read_again() {
    let running = Running::new(&format!("{NEVER}\nwatch = true\nsettle_s = 600"));
    running.listens();
    running.gateway.put("a", "a");
    running.signal(Signal::HUP);
    until("it goes up", || {
        running.gateway.dropbox.read("/a").is_some()
    });
}

#[test]
fn with_push_what_an_upload_hears_of_comes_down_as_well() {
    let gateway = Gateway::new();
    let status = Effect::Status(500, String::new());
    let fault = Fault::new("files/list_folder/longpoll", When::Always, status);
    gateway.dropbox.inject(fault);
    let schedule = "upload_interval = '* * * * * ?'\ndownload_interval = 'push'";
    let running = Running::with(gateway, schedule, |_| {});
    running.listens();
    running.gateway.dropbox.put("/b", b"b");
    let here = running.gateway.content.join("b");
    until("it arrives", || holds(&here, "b"));
}

#[test]
fn a_longpoll_is_not_repeated_at_once_whatever_it_answers() {
    let json = |text: &str| Effect::Status(200, text.to_owned());
    for effect in [
        json(r#"{"changes":false}"#),
        json(r#"{"changes":true}"#),
        json(r#"{"changes":false,"backoff":18446744073709551615}"#),
        json("nonsense"),
        Effect::Html,
        Effect::CutBefore,
        Effect::Status(404, String::new()),
        Effect::TooManyRequests {
            retry_after: Some(0),
            as_text: false,
        },
        Effect::TooManyRequests {
            retry_after: Some(u64::MAX),
            as_text: true,
        },
    ] {
        let gateway = Gateway::new();
        let told = format!("{effect:?}");
        let fault = Fault::new("files/list_folder/longpoll", When::Always, effect);
        gateway.dropbox.inject(fault);
        let running = Running::with(gateway, PUSH, |_| {});
        until("it asks", || {
            running.calls_of("files/list_folder/longpoll") > 0
        });
        std::thread::sleep(Duration::from_secs(2));
        let asked = running.calls_of("files/list_folder/longpoll");
        assert!(asked <= 2, "{told}: {asked}");
    }
}

#[test]
fn passes_with_an_end_come_to_an_end_together() {
    let gateway = Gateway::new();
    let slow = Effect::Stall(Duration::from_millis(400));
    gateway
        .dropbox
        .inject(Fault::new("files/", When::Always, slow));
    for number in 0..250 {
        gateway.put(&format!("small/{number}"), &number.to_string());
    }
    let files = || gateway.dropbox.tree().len();
    let mut before = files();
    let mut runs = 0;
    loop {
        let ended = gateway.run(&[], &["sync", "--max-time", "2"]);
        runs += 1;
        match ended.code {
            Some(0) => break,
            Some(7) => assert!(files() > before && runs < 20, "{runs}: {ended:?}"),
            _ => panic!("{ended:?}"),
        }
        before = files();
    }
    assert_eq!(gateway.dropbox.read("/small/249").unwrap(), b"249");
    assert!(runs > 1);
}

#[test]
fn a_large_file_goes_up_by_passes_with_an_end() {
    let gateway = Gateway::new();
    let slow = Effect::Stall(Duration::from_millis(400));
    gateway
        .dropbox
        .inject(Fault::new("files/upload", When::Always, slow));
    let content = "0123456789abcdef".repeat(24 << 16);
    gateway.put("large", &content);
    // What was written just now has no session that is taken up.
    std::thread::sleep(Duration::from_millis(2200));
    let runs = (1..10).find(|_| {
        let ended = gateway.run(&[], &["sync", "--max-time", "2"]);
        assert!(matches!(ended.code, Some(0 | 7)), "{ended:?}");
        ended.code == Some(0)
    });
    assert!(runs.is_some_and(|runs| runs > 1), "{runs:?}");
    assert!(gateway.dropbox.read("/large").unwrap() == content.as_bytes());
}

/// W2: a log named by mistake destroys nothing.
#[test]
fn w2_a_log_that_names_a_file_of_ours_is_refused() {
    let gateway = Gateway::new();
    gateway.put("a", "a");
    gateway.sync_ok();
    let state = |name: &str| gateway.state.join(name);
    let config = gateway.home.join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    for (log, what) in [
        (state("index.db"), "the state directory"),
        (state("cursor.json"), "the state directory"),
        (state("my.log"), "the state directory"),
        (config.clone(), "the configuration"),
        (gateway.content.join("my.log"), "sync.content_dir"),
    ] {
        let section = format!("[log]\nfile = \"{}\"\n", log.display());
        fs::write(&config, format!("{text}{section}")).unwrap();
        let before = fs::read(&log).ok();
        let ended = gateway.sync();
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.err.contains("log.file"), "{ended:?}");
        assert!(ended.err.contains(what), "{ended:?}");
        assert_eq!(fs::read(&log).ok(), before, "{}", log.display());
    }
}

/// W3: who may write where the log is gets no line into a file of somebody else; all else goes on.
#[test]
fn w3_a_log_that_others_could_exchange_is_not_written_and_stops_nothing() {
    let gateway = Gateway::new();
    let dir = gateway.home.join("logs");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
    let log = dir.join("f.log");
    gateway.configure_also(&format!("[log]\nfile = \"{}\"\n", log.display()));
    gateway.put("a", "a");
    let ended = gateway.sync();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.err.matches("no log.file").count(), 1, "{ended:?}");
    assert!(ended.err.contains("chmod o-w"), "{ended:?}");
    assert!(!log.exists() && gateway.dropbox.read("/a").is_some());
    // The sticky bit keeps what is ours, and so what is not ours.
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777)).unwrap();
    let victim = gateway.home.join("victim");
    fs::write(&victim, "theirs").unwrap();
    fs::hard_link(&victim, &log).unwrap();
    gateway.put("b", "b");
    let ended = gateway.sync();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.err.matches("no log.file").count(), 1, "{ended:?}");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "theirs");
    assert!(gateway.dropbox.read("/b").is_some());
    fs::remove_file(&log).unwrap();
    gateway.put("c", "c");
    gateway.sync_ok();
    assert!(fs::read_to_string(&log).unwrap().contains("uploaded /c"));
}

#[test]
fn a_log_whose_directory_cannot_be_made_stops_nothing() {
    let gateway = Gateway::new();
    gateway.configure_also("[log]\nfile = \"/dev/shm/not/there/ferrybox.log\"\n");
    gateway.put("a", "a");
    let ended = gateway.sync();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.err.contains("no log.file: /dev/shm/not/there"),
        "{ended:?}"
    );
    assert!(gateway.dropbox.read("/a").is_some());
}

#[test]
fn cron_gives_it_no_home_no_terminal_and_hardly_a_path() {
    let gateway = Gateway::new();
    gateway.put("a", "a");
    let mut command = gateway.command(&[], &["sync"]);
    command.env_clear().env("PATH", "/usr/bin:/bin");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
    let nice = gateway.run(&["nice", "-n", "19"], &["sync"]);
    assert_eq!(nice.code, Some(0), "{nice:?}");
}

#[test]
fn the_next_ten_runs_are_printed_in_local_time() {
    let gateway = Gateway::new();
    gateway.configure_also(
        "[schedule]\nupload_interval = '0 2 * * *'\ndownload_interval = '0 0/5 * * * ?'\n",
    );
    let mut command = gateway.command(&[], &["schedule"]);
    command.env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!((10..=11).contains(&lines.len()), "{text}");
    assert!(text.contains(" 02:00:00 +01  both ways"), "{text}");
    assert!(lines.iter().all(|line| line.contains(" +0")), "{text}");
    assert!(
        lines.iter().any(|line| line.ends_with("both ways")),
        "{text}"
    );
    assert!(
        lines[0].ends_with("down") || lines[0].ends_with("both ways"),
        "{text}"
    );
}
