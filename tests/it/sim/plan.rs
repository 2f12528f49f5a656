//! A history before it happens: steps drawn from a seed. Each step carries its own numbers, so
//! that a history from which steps are left out means the same otherwise.

use std::io::ErrorKind;

use std::time::Duration;

use dropbox_standin::{Effect, Folders, Habits, Packing, ResultHeader, Sizes, ZipStyle};

use super::intruder::DEEDS;
use super::random::Random;

/// Who does something: 0 is the person at Dropbox, 1 and up those at the gateways.
pub type Side = usize;

/// What a person does.
#[derive(Clone, Debug)]
pub enum EditKind {
    Put(&'static str),
    PutByRename(&'static str),
    Append(&'static str),
    /// Writes what the path holds on another side.
    Copy(&'static str, Side),
    Remove(&'static str),
    /// Removes everything, or each file with this chance in a hundred.
    Purge(u64),
    Rename(&'static str, &'static str),
    MakeDir(&'static str),
    Touch(&'static str),
    Forbid(&'static str),
    Allow(&'static str),
    /// Nobody but its owner may read the file any more.
    Hide(&'static str),
    /// Somebody else may read the file, by an access list.
    Share(&'static str),
    /// Somebody lays something in the agent's way, while it is at work.
    Intrude(&'static str, usize),
}

/// A deed of somebody.
#[derive(Clone, Debug)]
pub struct Edit {
    pub side: Side,
    pub kind: EditKind,
    pub seed: u64,
}

/// What goes wrong during a run.
#[derive(Clone, Debug)]
pub enum Mishap {
    /// A call to a disk fails, or from there on every one that changes something.
    Disk { kind: ErrorKind, lasts: bool },
    /// A request, or this many of them, meets with this.
    Net { effect: Effect, times: u64 },
}

/// How a run ends that does not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Kill,
    PowerCut,
}

/// Which way a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Both,
    Down,
    Up,
    Dry,
}

/// One run of the agent on a gateway; numbers are calls.
#[derive(Clone, Debug)]
pub struct Run {
    pub side: Side,
    pub way: Way,
    pub edits: Vec<(u64, Edit)>,
    pub mishaps: Vec<(u64, Mishap)>,
    pub end: Option<(u64, Ending)>,
    /// A halt is approved at once.
    pub approves: bool,
    pub seed: u64,
}

/// Something that befalls a gateway or the account between runs.
#[derive(Clone, Debug)]
pub enum Event {
    PowerCut,
    LoseCursor,
    LoseIndex,
    /// The state as it was this many runs ago: the index, the cursor, or both.
    OldState {
        runs: usize,
        index: bool,
        cursor: bool,
    },
    /// A bit of the index file or the cursor file is flipped.
    Flip {
        index: bool,
        at: u64,
    },
    ResetCursors,
    ExpireTokens,
    JumpClock(i64),
    PageLimit(usize),
    /// A disk of its own is mounted on a folder.
    Mount(&'static str),
    /// All such disks come off, or are put back.
    Unmount,
    MountAgain,
    /// The disk of the whole content dir comes off, and an empty directory is in its place; or it
    /// is put back.
    TakeOff,
    PutBack,
    Filters(usize),
    Mode(usize),
    Capacity(u64),
    Quota(u64),
    /// From now on Dropbox has trouble with a path, one of [`TROUBLES`].
    Trouble(&'static str, usize),
    /// All such troubles are over.
    Heal,
    /// The disk of the content dir gets another number, as after a restart.
    Renumber(u64),
    /// Another instance has temporary files in a folder.
    Neighbour(&'static str),
    /// Somebody means harm, at a path: one of [`DEEDS`].
    Intrude(&'static str, usize),
    /// Dropbox does in another way what is done in several: chosen by this number.
    Habits(u64),
    /// The folder of the app is gone, or is there again.
    LoseAppFolder(bool),
}

/// The ways of Dropbox that a number stands for.
pub fn choose_habits(habits: &mut Habits, number: u64) {
    let mut random = Random::new(number);
    habits.lag = *random.pick(&[0, 0, 1, 2]);
    habits.empty_pages = *random.pick(&[0, 0, 1, 3]);
    habits.checks_empty_appends = random.chance(50);
    habits.listing_names_its_root = random.chance(50);
    habits.shows_parents_folded = random.chance(20);
    habits.result_header = *random.pick(&[
        ResultHeader::Ascii,
        ResultHeader::Utf8,
        ResultHeader::Missing,
    ]);
    habits.summary_as_reason = random.chance(30);
    habits.refuses_beyond_bmp = random.chance(40);
    habits.refuses_in_new_folders = random.chance(30);
    habits.user_message = random.chance(30).then(|| "in plain words".into());
    let folders = [Folders::Empty, Folders::LikeFiles, Folders::Twice];
    habits.zip_style = ZipStyle {
        folders: *random.pick(&folders),
        packing: *random.pick(&[Packing::Stored, Packing::Deflated, Packing::Alternating]),
        sizes: *random.pick(&[Sizes::Header, Sizes::Descriptor, Sizes::BareDescriptor]),
        zip64: random.chance(30),
        ..ZipStyle::default()
    };
}

/// What may be wrong with a path in Dropbox: the route, and what it answers.
pub const TROUBLES: [(&str, Trouble); 10] = [
    ("upload", Trouble::Refused("path/disallowed_name")),
    ("upload", Trouble::Refused("path/no_write_permission")),
    ("upload", Trouble::Refused("path/insufficient_space")),
    ("upload", Trouble::Refused("path/conflict/file")),
    ("", Trouble::Status(500)),
    ("", Trouble::Cut),
    ("delete", Trouble::Refused("path_write/no_write_permission")),
    ("move", Trouble::Refused("from_write/no_write_permission")),
    ("files/download", Trouble::Refused("path/not_found")),
    // No listing of everything comes.
    ("files/list_folder", Trouble::Status(504)),
];

/// How Dropbox answers for a path it has trouble with.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    Refused(&'static str),
    Status(u16),
    Cut,
}

/// One step of a history.
#[derive(Clone, Debug)]
pub enum Step {
    Edit(Edit),
    Run(Run),
    Event(Side, Event, u64),
}

/// Where the account of a history has its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Team {
    /// There is no team.
    None,
    /// In the folder of its own, beside the space of a team.
    Beside,
    /// In the space of the team.
    Within,
}

/// A whole history.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub gateways: usize,
    /// The space of a team that the account has, if it is one of a team's.
    pub team: Team,
    /// Lines of `[sync.guard]`.
    pub guard: &'static str,
    /// The first mode of each gateway, an index of [`MODES`].
    pub modes: Vec<usize>,
    /// The first filters of all gateways, an index of [`FILTERS`].
    pub filters: usize,
    /// The manners of all gateways, an index of [`MANNERS`].
    pub manners: usize,
    pub steps: Vec<Step>,
}

pub const MODES: [&str; 3] = ["BIDIRECTIONAL", "LOCAL_TO_DROPBOX", "DROPBOX_TO_LOCAL"];

/// Lines of `[sync]` that narrow what travels.
pub const FILTERS: [&str; 9] = [
    "",
    "exclude = ['/d']",
    "upload_filter = ['/a.*', '/d/.*']",
    "download_filter = ['/[b-d].*']",
    "upload_filter = []",
    "exclude = ['.*x']\ndownload_filter = ['/d/.*']",
    "exclude = ['/P']",
    "exclude = ['.*/[A-Z]']",
    "exclude = ['/D', '/P/q']",
];

/// Lines of `[sync]` that hold back what would travel.
pub const MANNERS: [&str; 5] = [
    "",
    "max_file_size = '1 KiB'",
    KEEPS,
    "[[sync.pace]]\nmatch = ['a', '/d/']\nevery = '6h'",
    "max_file_size = '60 B'\n[[sync.pace]]\nmatch = '*'\nevery = '1m'",
];

/// One that means something only where nothing comes down.
pub const KEEPS: &str = "deletes = 'keep'";

const GUARDS: [&str; 6] = [
    "",
    "max_delete_count = 20",
    "max_delete_count = 1\nmax_delete_share = 0.3",
    "max_delete_count = 1\nmax_delete_share = 0.3",
    "max_delete_count = 0\nmax_delete_share = 0.5",
    "max_delete_count = 2\nmax_delete_share = 0.1",
];

const PLAIN: [&str; 9] = ["a", "b", "c.txt", "d", "d/x", "d/y", "d/e", "d/e/z", "g/h"];
const CASES: [&str; 9] = [
    "a", "A", "d/x", "D/x", "D/X", "d", "\u{e4}", "a\u{308}", "d/\u{c4}",
];
const CAPITALS: [&str; 9] = [
    "a", "P/x", "P/q/Y", "P/Z/x", "d/P/x", "d/y", "D2/x", "P", "D2/P",
];
const SWAPS: [&str; 9] = ["f", "f/x", "f/y", "g", "g/f", "g/f/x", "f/x/y", "h", "F"];
const MANY: [&str; 18] = [
    "m/1", "m/2", "m/3", "m/4", "m/5", "m/6", "m/7", "m/8", "m/9", "m/a", "m/b/1", "m/b/2",
    "m/b/3", "n/1", "n/2", "n/3", "m", "n",
];

/// Names that nothing has at first.
const NEW: [&str; 7] = [
    "new",
    "New",
    "newer",
    "d/new",
    "m/new",
    "\u{1f680}",
    "d/\u{1e9e}",
];

/// Files in folders that are renamed as a whole.
const IN_FOLDERS: [&str; 9] = [
    "m/1", "m/2", "m/3", "m/b/1", "m/b/2", "m/b/c/1", "n/1", "n/2", "o",
];

/// Which they are, and what they are renamed to.
const FOLDERS: [(&str, &str); 12] = [
    ("m", "new"),
    ("m", "New"),
    ("m", "d/new"),
    ("m/b", "new"),
    ("m/b", "newer"),
    ("n", "m/new"),
    ("n", "newer"),
    ("new", "m"),
    ("new/b", "newer"),
    ("newer", "n"),
    ("newer", "new"),
    ("new", "newer"),
];

/// What is edited in them.
const WITHIN: [&str; 10] = [
    "m/1", "m/b/1", "m/4", "n/1", "new/1", "new/4", "new/b/1", "newer/1", "newer/4", "m/new/1",
];

fn within(random: &mut Random) -> &'static str {
    WITHIN[random.below(WITHIN.len() as u64) as usize]
}

fn draw_team(random: &mut Random) -> Team {
    match random.below(10) {
        0..7 => Team::None,
        7 => Team::Beside,
        _ => Team::Within,
    }
}

/// What a seed stands for.
pub fn draw(seed: u64) -> Plan {
    let mut random = Random::new(seed);
    let random = &mut random;
    let gateways = match random.below(10) {
        0..6 => 1,
        6..9 => 2,
        _ => 3,
    };
    let family = random.below(10);
    let paths: &[&'static str] = match random.below(12) {
        0..4 => &PLAIN,
        4..6 => &CASES,
        6..8 => &SWAPS,
        8..10 => &CAPITALS,
        _ => &MANY,
    };
    let one_way = random.below(10);
    let modes = (0..gateways)
        .map(|_| match one_way {
            0 => 1,
            1 => 2,
            2 => random.below(3) as usize,
            _ => 0,
        })
        .collect();
    let steps = 4 + random.below(22);
    let guard = *random.pick(&GUARDS);
    let filters = if random.chance(15) {
        random.below(FILTERS.len() as u64) as usize
    } else {
        0
    };
    let draw = Draw {
        paths,
        gateways,
        faults: family > 0,
        events: family > 3,
        meddles: family > 5,
    };
    let mut all = if random.chance(50) {
        draw.filled(random)
    } else {
        Vec::new()
    };
    all.extend((0..steps).map(|_| draw.step(random)));
    let team = draw_team(random);
    // Of a number of its own, so that a seed stands for the same history as without.
    let mut random = Random::new(seed ^ 0x6d61_6e6e);
    if random.chance(20) {
        all.extend(draw.with_folders(&mut random));
    }
    let manners = match random.chance(30) {
        true => 1 + random.below(MANNERS.len() as u64 - 1) as usize,
        false => 0,
    };
    Plan {
        seed,
        gateways,
        team,
        guard,
        modes: match MANNERS[manners] == KEEPS {
            true => vec![1; gateways],
            false => modes,
        },
        filters,
        manners,
        steps: all,
    }
}

struct Draw {
    paths: &'static [&'static str],
    gateways: usize,
    faults: bool,
    events: bool,
    meddles: bool,
}

impl Draw {
    fn path(&self, random: &mut Random) -> &'static str {
        self.paths[random.below(self.paths.len() as u64) as usize]
    }

    fn gateway(&self, random: &mut Random) -> Side {
        1 + random.below(self.gateways as u64) as usize
    }

    /// Files on all sides, brought in step.
    fn filled(&self, random: &mut Random) -> Vec<Step> {
        let mut steps = Vec::new();
        for path in self.paths {
            if random.chance(70) {
                let edit = Edit {
                    kind: EditKind::Put(path),
                    ..self.edit(random)
                };
                steps.push(Step::Edit(edit));
            }
        }
        for side in (1..=self.gateways).chain(1..=self.gateways) {
            steps.push(Step::Run(Run {
                side,
                way: Way::Both,
                edits: Vec::new(),
                mishaps: Vec::new(),
                end: None,
                approves: false,
                seed: 0,
            }));
        }
        steps
    }

    /// Folders that are in step, and then renamed on either side, with edits in them.
    fn with_folders(&self, random: &mut Random) -> Vec<Step> {
        let draw = Draw {
            paths: &IN_FOLDERS,
            ..*self
        };
        let mut steps = draw.filled(random);
        for _ in 0..4 + random.below(10) {
            let edit = draw.edit(random);
            let kind = match random.below(100) {
                0..35 => {
                    let (from, to) = *random.pick(&FOLDERS);
                    EditKind::Rename(from, to)
                }
                35..50 => EditKind::Put(within(random)),
                50..60 => EditKind::Remove(within(random)),
                _ => {
                    steps.push(Step::Run(draw.run(random)));
                    continue;
                }
            };
            steps.push(Step::Edit(Edit { kind, ..edit }));
        }
        steps
    }

    fn step(&self, random: &mut Random) -> Step {
        match random.below(100) {
            0..44 => Step::Edit(self.edit(random)),
            44..50 => {
                let kind = EditKind::Purge(*random.pick(&[100, 100, 60]));
                let edit = self.edit(random);
                Step::Edit(Edit { kind, ..edit })
            }
            50..53 => {
                let kind = EditKind::Rename(self.path(random), new_name(random));
                let edit = self.edit(random);
                Step::Edit(Edit { kind, ..edit })
            }
            53..63 if self.events => {
                let side = self.gateway(random);
                Step::Event(side, self.event(random), random.next())
            }
            _ => Step::Run(self.run(random)),
        }
    }

    fn edit(&self, random: &mut Random) -> Edit {
        let side = if random.chance(45) {
            0
        } else {
            self.gateway(random)
        };
        let path = self.path(random);
        let kind = match random.below(103) {
            0..40 => EditKind::Put(path),
            40..46 => EditKind::PutByRename(path),
            46..52 => EditKind::Append(path),
            52..57 => EditKind::Copy(path, random.below(self.gateways as u64 + 1) as usize),
            57..75 => EditKind::Remove(path),
            75..82 => EditKind::Rename(path, self.path(random)),
            82..86 => EditKind::Rename(path, new_name(random)),
            86..88 => EditKind::Rename(new_name(random), path),
            88..93 => EditKind::MakeDir(path),
            93..95 => EditKind::Touch(path),
            95 => EditKind::Hide(path),
            96 => EditKind::Share(path),
            97 => EditKind::Forbid(path),
            100.. => EditKind::Intrude(path, random.below(DEEDS.len() as u64) as usize),
            _ => EditKind::Allow(path),
        };
        Edit {
            side,
            kind,
            seed: random.next(),
        }
    }

    /// Early calls more often than late ones.
    fn call(random: &mut Random) -> u64 {
        let width = 1 + random.below(9);
        1 + random.below(1 << width)
    }

    fn run(&self, random: &mut Random) -> Run {
        let mut edits = Vec::new();
        let mut mishaps = Vec::new();
        let mut end = None;
        if self.meddles && random.chance(35) {
            for _ in 0..=random.below(3) {
                edits.push((Draw::call(random), self.edit(random)));
            }
        }
        if self.faults && random.chance(45) {
            for _ in 0..=random.below(2) {
                mishaps.push((Draw::call(random), mishap(random)));
            }
        }
        if self.faults && random.chance(25) {
            let ending = if random.chance(50) {
                Ending::Kill
            } else {
                Ending::PowerCut
            };
            end = Some((Draw::call(random), ending));
        }
        let way = match random.below(20) {
            0 => Way::Down,
            1 => Way::Up,
            2 => Way::Dry,
            _ => Way::Both,
        };
        Run {
            side: self.gateway(random),
            way,
            edits,
            mishaps,
            end,
            approves: random.chance(50),
            seed: random.next(),
        }
    }

    fn event(&self, random: &mut Random) -> Event {
        match random.below(38) {
            0 => Event::PowerCut,
            1 => Event::LoseCursor,
            2 => Event::LoseIndex,
            3 | 4 => {
                let which = random.below(3);
                Event::OldState {
                    runs: 1 + random.below(4) as usize,
                    index: which != 1,
                    cursor: which != 0,
                }
            }
            5 => Event::Flip {
                index: random.chance(80),
                at: random.next(),
            },
            6 => Event::ResetCursors,
            7 => Event::ExpireTokens,
            8 => Event::JumpClock(*random.pick(&[
                -40 * 365 * 86_400,
                -3600,
                -1,
                3600,
                20 * 365 * 86_400,
            ])),
            9 => Event::PageLimit(1 + random.below(4) as usize),
            10 => Event::Filters(random.below(FILTERS.len() as u64) as usize),
            11 => Event::Mode(random.below(3) as usize),
            12 => Event::Capacity(*random.pick(&[68 << 20, 70_000, 1 << 34, 1 << 34])),
            13 => Event::Quota(*random.pick(&[100, 60_000, 1 << 31, 1 << 31])),
            14 => Event::PageLimit(2000),
            15 | 16 => Event::Mount(self.path(random)),
            17 => Event::Unmount,
            18 | 19 => Event::TakeOff,
            20 => Event::PutBack,
            21 => Event::MountAgain,
            22..25 => {
                let trouble = random.below(TROUBLES.len() as u64) as usize;
                Event::Trouble(self.path(random), trouble)
            }
            25 => Event::Heal,
            26 => Event::Renumber(1000 + random.below(1000)),
            27 | 28 => Event::Neighbour(self.path(random)),
            34 | 35 => Event::LoseAppFolder(true),
            36 => Event::LoseAppFolder(false),
            32.. => Event::Habits(random.next()),
            _ => {
                let deed = random.below(DEEDS.len() as u64) as usize;
                Event::Intrude(self.path(random), deed)
            }
        }
    }
}

/// What a namespace is answered with that the account may not see.
const NO_PERMISSION: &str =
    r#"{"error_summary": "no_permission/..", "error": {".tag": "no_permission"}}"#;

fn new_name(random: &mut Random) -> &'static str {
    NEW[random.below(NEW.len() as u64) as usize]
}

fn mishap(random: &mut Random) -> Mishap {
    if random.chance(45) {
        let kind = *random.pick(&[
            ErrorKind::StorageFull,
            ErrorKind::PermissionDenied,
            ErrorKind::ReadOnlyFilesystem,
            ErrorKind::Other,
            ErrorKind::QuotaExceeded,
            ErrorKind::StaleNetworkFileHandle,
            ErrorKind::Interrupted,
        ]);
        // A signal interrupts one call, not all that follow.
        let lasts = random.chance(30) && kind != ErrorKind::Interrupted;
        return Mishap::Disk { kind, lasts };
    }
    let retry_after = *random.pick(&[None, Some(0), Some(1), Some(300), Some(1_000_000)]);
    let effect = match random.below(23) {
        0 | 1 => Effect::CutBefore,
        2..5 => Effect::CutAfter,
        5 => Effect::Truncate(random.below(2000) as usize),
        6 => Effect::Corrupt(random.below(5000) as usize),
        7 => Effect::CorruptUpload,
        8 => Effect::TooManyRequests {
            retry_after,
            as_text: random.chance(30),
        },
        9 => Effect::TooManyWriteOperations,
        10 => Effect::Html,
        11 => Effect::ExpireToken,
        12 => Effect::DuplicatePage,
        13 => Effect::ReorderPage(random.next()),
        16 => Effect::Stall(Duration::from_secs(100)),
        17 => Effect::Stall(Duration::from_secs(200)),
        18 => Effect::Status(401, String::new()),
        19 => Effect::Status(400, r#"{"error": "v1_retired"}"#.to_owned()),
        20 => Effect::Status(403, "<html>Blocked</html>".to_owned()),
        21 | 22 => Effect::Status(422, NO_PERMISSION.to_owned()),
        14 => Effect::Status(500 + random.below(4) as u16, "oops".to_owned()),
        _ => Effect::Status(
            409,
            r#"{"error_summary":"reset/..","error":{".tag":"reset"}}"#.to_owned(),
        ),
    };
    let times = match effect {
        // The next upload may be one whose hash is only compared afterwards.
        Effect::CorruptUpload => 1,
        _ => *random.pick(&[1, 1, 1, 2, 3, 5, 40]),
    };
    Mishap::Net { effect, times }
}

/// The same history with less in it, in all the ways that leave one thing out.
pub fn simpler(plan: &Plan) -> Vec<Plan> {
    let mut found = Vec::new();
    for (at, step) in plan.steps.iter().enumerate() {
        let Step::Run(run) = step else { continue };
        let mut try_run = |change: &dyn Fn(&mut Run)| {
            let mut plan = plan.clone();
            if let Step::Run(run) = &mut plan.steps[at] {
                change(run);
            }
            found.push(plan);
        };
        for edit in 0..run.edits.len() {
            try_run(&|run| {
                run.edits.remove(edit);
            });
        }
        for mishap in 0..run.mishaps.len() {
            try_run(&|run| {
                run.mishaps.remove(mishap);
            });
        }
        if run.end.is_some() {
            try_run(&|run| run.end = None);
        }
        if let Some((at, Ending::PowerCut)) = run.end {
            try_run(&|run| run.end = Some((at, Ending::Kill)));
        }
        if run.way != Way::Both {
            try_run(&|run| run.way = Way::Both);
        }
        if run.approves {
            try_run(&|run| run.approves = false);
        }
    }
    found
}
