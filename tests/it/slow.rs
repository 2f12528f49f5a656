//! S5: answers that come byte by byte hold no pass for ever, and cost nothing.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;
use std::time::Duration;

use ferrybox::commands::sync::SyncArgs;
use ferrybox::dropbox::longpoll::longpoll;
use ferrybox::engine::collected::KEPT_MAX;
use ferrybox::engine::{Seams, run_on};
use ferrybox::error::{Error, ExitCode};
use ferrybox::io::dirs::RealDisks;
use ferrybox::io::host::Host;
use ferrybox::io::http::{Http, HttpError, Request, Response};
use ferrybox::report::{Report, ReportKind};

use crate::sim::machine::ask;
use crate::world::{World, world};

/// How bodies arrive: so many bytes, each time after so much time.
#[derive(Clone, Copy)]
struct Pace {
    bytes: usize,
    step: Duration,
    /// White space after what was to be said.
    padding: usize,
}

/// What was seen with the binary: 1 byte every 2 seconds.
const TRICKLE: Pace = Pace {
    bytes: 1,
    step: Duration::from_secs(2),
    padding: 0,
};

/// A network on which time passes while the bodies of some routes arrive.
struct SlowNet<'a> {
    world: &'a World,
    elapsed: Rc<Cell<Duration>>,
    routes: &'a [&'a str],
    pace: Pace,
    asked: Cell<u32>,
}

impl<'a> SlowNet<'a> {
    fn new(world: &'a World, routes: &'a [&'a str], pace: Pace) -> SlowNet<'a> {
        SlowNet {
            world,
            elapsed: Rc::default(),
            routes,
            pace,
            asked: Cell::new(0),
        }
    }

    fn sync(&self, max_time: Option<u64>) -> Result<ExitCode, Error> {
        let config = self.world.config();
        let args = SyncArgs {
            max_time: max_time.map(Duration::from_secs),
            ..SyncArgs::default()
        };
        let report = Report::new(ReportKind::Changes);
        let seams = Seams {
            host: self,
            disks: &RealDisks,
            http: self,
            kept_max: KEPT_MAX,
            begun: &|| {},
        };
        run_on(&seams, &config, &args.options(&config), &report)
    }
}

impl Host for SlowNet<'_> {
    fn now_ns(&self) -> i128 {
        self.world.clock.now_ns()
    }
    fn elapsed(&self) -> Duration {
        self.elapsed.get()
    }
    fn sleep(&self, time: Duration) {
        self.elapsed.set(self.elapsed.get() + time);
    }
    fn random(&self, bytes: &mut [u8]) {
        self.world.clock.random(bytes);
    }
    fn is_root(&self) -> bool {
        self.world.clock.is_root()
    }
}

impl Http for SlowNet<'_> {
    fn send(&self, request: Request<'_>) -> Result<Response, HttpError> {
        let is_slow = self
            .routes
            .iter()
            .any(|route| request.path.ends_with(route));
        let response = ask(&self.world.dropbox, request)?.response(None);
        if !is_slow {
            return Ok(response);
        }
        self.asked.set(self.asked.get() + 1);
        let padding = io::repeat(b' ').take(self.pace.padding as u64);
        let body = SlowBytes {
            body: Box::new(response.body.chain(padding)),
            elapsed: self.elapsed.clone(),
            pace: self.pace,
        };
        Ok(Response {
            body: Box::new(body),
            ..response
        })
    }
}

struct SlowBytes {
    body: Box<dyn Read>,
    elapsed: Rc<Cell<Duration>>,
    pace: Pace,
}

impl Read for SlowBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.elapsed.set(self.elapsed.get() + self.pace.step);
        let most = buffer.len().min(self.pace.bytes);
        self.body.read(&mut buffer[..most])
    }
}

/// A world with work in both directions, and much in the folder that is listed.
fn at_work() -> World {
    let world = world();
    for i in 0..3 {
        world.dropbox.put(&format!("/there {i}"), &[b'x'; 3000]);
    }
    world.put("here", "here");
    world
}

#[test]
fn s5_no_route_holds_a_pass_by_a_body_that_trickles() {
    for route in [
        "/get_current_account",
        "/list_folder",
        "/list_folder/continue",
        "/download",
        "/upload",
        "/upload_session/finish_batch_v2",
    ] {
        let world = at_work();
        let routes = [route];
        let slow = SlowNet::new(&world, &routes, TRICKLE);
        let result = slow.sync(None);
        let code = result.as_ref().map_or_else(Error::exit_code, |code| *code);
        let took = slow.elapsed();
        assert!(took < Duration::from_secs(20 * 60), "{route}: {took:?}");
        let later = [ExitCode::TryLater, ExitCode::SomeFiles, ExitCode::Ok];
        assert!(later.contains(&code), "{route}: {result:?}");
        world.sync();
        world.sync_ok();
        let both = ["here", "there 0", "there 1", "there 2"];
        let names: Vec<_> = world.local_tree().into_keys().collect();
        assert_eq!(names, both, "{route}");
        let names: Vec<_> = world.remote_tree().into_keys().collect();
        assert_eq!(names, both, "{route}");
    }
}

#[test]
fn s5_a_listing_that_trickles_is_tried_some_times_and_then_later() {
    let world = at_work();
    let slow = SlowNet::new(&world, &["/list_folder"], TRICKLE);
    let error = slow.sync(None).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::TryLater, "{error}");
    assert!(error.to_string().contains("less than 1 KiB/s"), "{error}");
    // In smaller pages, and then by folders.
    assert_eq!(slow.asked.get(), 8);
    assert!(slow.elapsed() < Duration::from_secs(9 * 60));
}

#[test]
fn s5_an_answer_in_json_takes_no_more_than_five_minutes_whatever_its_rate() {
    let world = at_work();
    let pace = Pace {
        bytes: 4096,
        step: Duration::from_secs(2),
        padding: 10 << 20,
    };
    let slow = SlowNet::new(&world, &["/get_current_account"], pace);
    let error = slow.sync(None).unwrap_err();
    assert!(error.to_string().contains("300 seconds"), "{error}");
    assert!(slow.elapsed() < Duration::from_secs(16 * 60));
}

#[test]
fn s5_a_pass_with_an_end_does_not_read_a_body_beyond_it() {
    for route in ["/get_current_account", "/list_folder", "/download"] {
        let world = at_work();
        let routes = [route];
        let slow = SlowNet::new(&world, &routes, TRICKLE);
        let error = slow.sync(Some(10)).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::TryLater, "{route}: {error}");
        assert!(error.to_string().contains("--max-time"), "{route}: {error}");
        let took = slow.elapsed();
        assert!(took <= Duration::from_secs(12), "{route}: {took:?}");
    }
}

#[test]
fn s5_a_download_that_trickles_is_left_for_a_later_pass() {
    let world = world();
    world.dropbox.put("/f", &[b'x'; 300_000]);
    let slow = SlowNet::new(&world, &["/download"], TRICKLE);
    let code = slow.sync(None).unwrap();
    assert_eq!(code, ExitCode::SomeFiles);
    assert_eq!(slow.asked.get(), 3, "what trickles in is no progress");
    world.sync_ok();
    world.check_local(&[("f", &"x".repeat(300_000))]);
}

#[test]
fn s5_a_slow_download_that_gets_on_arrives_however_long_it_takes() {
    let world = world();
    world.dropbox.put("/f", &vec![b'x'; 5 << 20]);
    let pace = Pace {
        bytes: 3 << 10,
        step: Duration::from_secs(2),
        padding: 0,
    };
    let slow = SlowNet::new(&world, &["/download"], pace);
    assert_eq!(slow.sync(None).unwrap(), ExitCode::Ok);
    assert!(slow.elapsed() > Duration::from_secs(50 * 60));
    assert_eq!(slow.asked.get(), 1);
}

#[test]
fn s5_an_archive_that_trickles_is_left_and_its_files_come_one_by_one() {
    let world = world();
    for i in 0..20 {
        world.dropbox.put(&format!("/d/{i}"), &[b'x'; 2000]);
    }
    let slow = SlowNet::new(&world, &["/download_zip"], TRICKLE);
    assert_eq!(slow.sync(None).unwrap(), ExitCode::Ok);
    assert_eq!(slow.asked.get(), 1);
    assert!(slow.elapsed() < Duration::from_secs(2 * 60));
    assert_eq!(world.local_tree().len(), 21);
}

#[test]
fn s5_an_error_that_trickles_is_given_up_too() {
    let world = at_work();
    let answer = dropbox_standin::Effect::Status(409, "x".repeat(5000));
    let fault = dropbox_standin::Fault::new("list_folder", dropbox_standin::When::Always, answer);
    world.dropbox.inject(fault);
    let slow = SlowNet::new(&world, &["/list_folder"], TRICKLE);
    let error = slow.sync(None).unwrap_err();
    assert!(error.to_string().contains("broke off"), "{error}");
    assert!(slow.elapsed() < Duration::from_secs(9 * 60));
}

#[test]
fn s5_a_longpoll_is_waited_for_as_long_as_dropbox_may_take_and_no_longer() {
    let world = world();
    let told = |bytes, step_s| {
        let pace = Pace {
            bytes,
            step: Duration::from_secs(step_s),
            padding: 5000,
        };
        let slow = SlowNet::new(&world, &["/longpoll"], pace);
        let answer = longpoll(&slow, &slow, &"no cursor".into(), 480);
        assert_eq!(slow.asked.get(), 1);
        (answer, slow.elapsed().as_secs())
    };
    let (answer, _) = told(6000, 50);
    assert!(answer.is_ok(), "{answer:?}");
    let (answer, took_s) = told(1, 30);
    assert!(answer.unwrap_err().contains("570 seconds"));
    assert_eq!(took_s, 570);
}
