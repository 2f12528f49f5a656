//! The power fails: what the medium holds at that instant is mounted, checked and synced again.
//!
//! Content dir and state lie on an ext4 image. The pass is killed at a call and the image copied
//! at once, so the copy holds what was forced to the medium and not what was only written. Media
//! write more than they are told to, so there are two more [`Way`]s. The stand-in is the very
//! account the killed pass talked to, so it is as it was at that instant.

use std::fs;
use std::time::Instant;

use crate::gateway::{Gateway, Scratch, Wanted, fails, say};
use crate::histories::{DELETES, FIRST, History, TWO_WAY};
use crate::images::{Image, Mounted};
use crate::needs;
use crate::strace::{Call, Sample, killed_at, record, shortest};

/// Beside the sample of the calls: a copy costs more than a kill.
const THINNED: usize = 3;

/// Above the reserve of free space that a pass leaves.
const MEBIBYTES: u64 = 256;

#[test]
fn a_first_sync_cut_off_by_a_power_failure_heals() {
    cut(&FIRST, None);
}

#[test]
fn a_two_way_sync_cut_off_by_a_power_failure_heals() {
    cut(&TWO_WAY, None);
}

#[test]
fn a_delete_pass_cut_off_by_a_power_failure_heals() {
    cut(&DELETES, None);
}

#[test]
fn a_sync_across_a_nested_mount_cut_off_by_a_power_failure_heals() {
    cut(&TWO_WAY, Some("edited"));
}

/// What else is on the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing but what was forced.
    Forced,
    /// A neighbour has forced a file of its own: that commits the journal, with all renames so far,
    /// but no bytes of ours.
    Neighbour,
    /// The state lies on another disk, which kept all that was written to it.
    StateKept,
}

const WAYS: [Way; 3] = [Way::Forced, Way::Neighbour, Way::StateKept];

/// An image and where it is mounted; it comes off before its directory goes.
struct Medium {
    mounted: Option<Mounted>,
    image: Image,
}

impl Medium {
    fn new(scratch: &Scratch, name: &str, at: &std::path::Path) -> Medium {
        let image = Image::make(&scratch.join(name), MEBIBYTES).unwrap();
        let mounted = Some(Mounted::image(&image, at).unwrap());
        let _ = fs::remove_dir(at.join("lost+found"));
        Medium { mounted, image }
    }

    /// Puts everything on the medium.
    fn force(&self) {
        let dir = fs::File::open(self.path()).unwrap();
        rustix::fs::syncfs(dir).unwrap();
    }

    fn path(&self) -> &std::path::Path {
        self.mounted.as_ref().unwrap().path()
    }

    /// Somebody else forces a file of their own.
    fn disturb(&self, name: &str) {
        let mut file = fs::File::create(self.path().join(name)).unwrap();
        std::io::Write::write_all(&mut file, b"theirs").unwrap();
        file.sync_all().unwrap();
    }

    /// The power fails: the copy is what comes up again at the same place.
    fn come_up_from(&mut self, copy: Image) {
        let at = self.path().to_owned();
        self.mounted = None;
        self.mounted = Some(Mounted::image(&copy, &at).unwrap());
        self.image = copy;
    }

    fn check_sound(&mut self, when: &str) {
        self.mounted = None;
        assert!(self.image.is_sound(), "{when}: the filesystem is damaged");
    }
}

/// A gateway with content and state on a medium, and perhaps another one mounted within. Fields
/// are dropped in this order.
struct Powered {
    nested: Option<Medium>,
    medium: Medium,
    gateway: Gateway,
}

impl Powered {
    fn begin(history: &History, nested: Option<&str>, way: Way) -> Powered {
        let scratch = Scratch::new();
        let at = scratch.join("medium");
        let medium = Medium::new(&scratch, "image", &at);
        let content = at.join("content");
        let state = match way {
            Way::Forced | Way::Neighbour => at.join("state"),
            Way::StateKept => scratch.join("state"),
        };
        fs::create_dir(&content).unwrap();
        let nested = nested.map(|name| Medium::new(&scratch, "nested", &content.join(name)));
        let gateway = Gateway::at(scratch, content, state);
        history.prepare(&gateway);
        medium.force();
        if let Some(nested) = &nested {
            nested.force();
        }
        Powered {
            nested,
            medium,
            gateway,
        }
    }

    fn cut_at(&mut self, call: &Call, way: Way) -> bool {
        let was_killed = killed_at(&self.gateway, call).was_killed;
        let home = &self.gateway.home;
        if way == Way::Neighbour {
            self.medium.disturb("neighbour");
            if let Some(nested) = &self.nested {
                nested.disturb(".ferrybox-neighbour");
            }
        }
        let copy = self.medium.image.copy_to(&home.join("image.copy"));
        let nested = self.nested.as_mut();
        let nested = nested.map(|it| (it.image.copy_to(&home.join("nested.copy")), it));
        match nested {
            None => self.medium.come_up_from(copy),
            Some((nested_copy, nested)) => {
                let at = nested.path().to_owned();
                nested.mounted = None;
                self.medium.come_up_from(copy);
                nested.mounted = Some(Mounted::image(&nested_copy, &at).unwrap());
                nested.image = nested_copy;
                let _ = fs::remove_file(at.join(".ferrybox-neighbour"));
            }
        }
        was_killed
    }
}

fn cut(history: &History, nested: Option<&str>) {
    let name = match nested {
        Some(nested) => format!("{}, {nested} mounted", history.name),
        None => history.name.to_owned(),
    };
    if !needs::has(&format!("power cuts, {name}"), &needs::strace_and_mounts()) {
        return;
    }
    let started = Instant::now();
    let wanted = history.undisturbed();
    let calls = shortest(|| record(&Powered::begin(history, nested, Way::Forced).gateway));
    let points = points(&calls);
    let (mut failures, mut missed) = (0, 0);
    for (number, way) in &points {
        let call = &calls[*number];
        let when = format!("{name}, power cut at call {number}, {way:?}, {}", call.text);
        failures += usize::from(fails(|| {
            let was_killed = check_cut(history, nested, call, *way, &wanted, &when);
            missed += usize::from(!was_killed);
        }));
    }
    let copies = points.len();
    say(&format!(
        "power cuts, {name}: {} calls recorded, {copies} images checked, {missed} of them after \
         the end, {:.1} s",
        calls.len(),
        started.elapsed().as_secs_f32()
    ));
    assert_eq!(failures, 0, "points failed");
    // How many calls there are at the end depends on how young stamps are then.
    assert!(
        copies > 0 && missed <= copies.div_ceil(20),
        "{missed} of {copies}"
    );
}

/// Where the power is cut, and what else is on the medium: a sample of the calls, the ways in turn,
/// and always where a batch is about to be forced, since the most is at stake there.
fn points(calls: &[Call]) -> Vec<(usize, Way)> {
    let sample = Sample::chosen().thinned(THINNED);
    let mut points = Vec::new();
    for (turn, (number, _)) in sample.of(calls).into_iter().enumerate() {
        for (kind, way) in WAYS.into_iter().enumerate() {
            if sample.is_all() || kind == turn % WAYS.len() {
                points.push((number, way));
            }
        }
    }
    for (number, call) in calls.iter().enumerate() {
        let point = (number, Way::Neighbour);
        if call.name == "syncfs" && !points.contains(&point) {
            points.push(point);
        }
    }
    points
}

/// One power cut; says whether the pass was killed.
fn check_cut(
    history: &History,
    nested: Option<&str>,
    call: &Call,
    way: Way,
    wanted: &Wanted,
    when: &str,
) -> bool {
    let mut powered = Powered::begin(history, nested, way);
    let was_killed = powered.cut_at(call, way);
    wanted.check_whole(&powered.gateway.trees(), when);
    wanted.check_heals(&powered.gateway, when);
    if let Some(nested) = &mut powered.nested {
        nested.check_sound(when);
    }
    powered.medium.check_sound(when);
    was_killed
}
