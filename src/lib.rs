//! Ferrybox keeps a directory and a Dropbox folder in step: one thread, blocking, small.
//!
//! This page is the architecture, in reading order, and names every file. `CONTRIBUTING.md` says
//! how to build and test, and what to touch for a new command, route or key. The library is public
//! as a whole for the tests alone, and promises nothing to anybody else.
//!
//! ```text
//! config -> sign-in -> lock -> pull (remote pages -> index, then cursor) -> archives, downloads
//!        -> walk + uploads -> guarded deletes -> what waited for a name -> report
//! ```
//!
//! # Where to add what
//! - *A command*: its lines in `cli::definition`, its variant in `cli::args`, its work in
//!   [`commands`], or in [`daemon`] if it keeps running.
//! - *A route of Dropbox*: what travels in [`dropbox::wire`], a method in [`dropbox::api`], or in
//!   [`dropbox::batch`] if it does many things at once.
//! - *A decision*: a cell of [`core::decide`], its branch in [`engine::reconcile`], and what it
//!   leads to in [`engine::actions`], which is done by [`engine::phases`] and said by
//!   [`engine::planner`].
//!
//! # Floors
//! A file imports from floors below its own, and from its own room; from no other room of its
//! floor, and never upwards. No two files need each other. Tests hold both (`tests/it/tidy.rs`).
//!
//! ```text
//! main
//! cli
//! daemon
//! commands
//! engine
//! dropbox    index    logging
//! io
//! error
//! config
//! core    report    timestamp
//! words
//! ```
//!
//! Only [`index`] and [`error`] know SQLite, only [`io`] opens connections, and only [`io::host`]
//! sleeps, within a pass when [`io::deadline`] lets it. [`core`] is pure: it imports no I/O, no
//! clock and no log. One map in it has a seed from the system ([`core::arrived_content`]); in what
//! order it holds things is never asked.
//!
//! # Three trees, one decision
//! Base, local and remote are compared key by key, and [`core::decide`] says what follows: a pure
//! match, and the design's tables word for word.
//!
//! What is saved is what was *seen* and what was *settled*, never what is intended. The plan is
//! made anew in each pass, so a crash at any point heals by running again, and being killed is an
//! ordinary way to stop.
//!
//! # A pass, in order
//! The program is `main.rs`: it calls [`cli`], which reads what was typed and gives the exit code.
//! `cli::definition` is the whole command line as a table, of what `cli::spec` knows, with the
//! examples of `cli::help` and with `cli::files_definition`; `cli::usage`, `cli::completions` and
//! `cli::man` are made of it.
//! `cli::parse` sorts by it what was typed into `cli::matches`, with `cli::suggest` for what was
//! meant, and `cli::args` is what the program makes of that; `cli::tests` goes through all of it.
//! `cli::pass` is what `sync` does, `cli::files` the commands for files in Dropbox, `cli::outcome`
//! how a command ended.
//! [`commands`] has what a command does beyond that: [`commands::sync`] says what is asked of a
//! pass, [`commands::telling`] what is told of it and what was told before,
//! [`commands::alerts`] tells those who do not look,
//! [`commands::authentication`] signs in and out, [`commands::check_filters`] counts what each
//! pattern matches. [`commands::status`] says what is, with what Dropbox says now
//! ([`commands::online`]), and [`commands::status::page`] says it to a browser
//! (`commands::status::page::tests`: what stands there is only text); [`commands::past`] says what
//! was, and [`commands::why`] what would be done about a path, which [`engine::why`] finds out as a
//! pass does it.
//! Files in Dropbox are looked at and changed without a pass by way of [`commands::remote`]:
//! [`commands::ls`] lists them, [`commands::cat`] prints one, [`commands::manage`] makes, moves and
//! deletes, [`commands::versions`] lists versions and restores one.
//! [`commands::doctor`] looks for what may be wrong around it all:
//! `commands::doctor::check` is what a check comes to, `commands::doctor::online` the way to
//! Dropbox, `commands::doctor::account` the sign-in, `commands::doctor::ground` what directories
//! lie on, `commands::doctor::tree` the content dir, `commands::doctor::neighbours` who else syncs
//! it, told by `commands::doctor::marks`, and `commands::doctor::starters` what starts us.
//!
//! [`engine`] is where tests, the simulator and [`daemon`] enter, too: it assembles a pass from the
//! configuration and the three seams, takes the locks, and drops an index that is damaged. These
//! are its floors:
//!
//! ```text
//! pass    why
//! walk
//! reconcile
//! phases    planner
//! actions
//! moves
//! download    upload    delete
//! revisit
//! observe    collected    local_dir    durable    identity
//! context
//! pull    remembered
//! item   survey   remote_root   root   cursor   credential   in_force   stable_read   batches
//! file_clock    under_way    pass_record
//! ```
//!
//! 1. Who we are. [`engine::credential`]: what proves it to Dropbox, and the account that the base
//!    is agreed with. [`engine::in_force`]: the configuration as it holds, with the globs of the
//!    content dir's own file. [`engine::identity`]: is it the Dropbox we know, its account, app and
//!    folder?
//!    [`engine::root`]: is the content dir the one we know?
//!    [`engine::pass_record`] is what passes leave for whoever asks later.
//! 2. [`engine::pass`] is the order of what follows, and nothing else. [`engine::context`] is what
//!    all of it reads and notes: `engine::context::rules` what the configuration says of a path,
//!    `engine::context::base` what a base remembers, `engine::context::arrivals` what is to get to
//!    a side and what has, `engine::context::trouble` what could not be done.
//! 3. [`engine::pull`] writes what Dropbox tells into the [`index`], then the cursor into the file
//!    of [`engine::cursor`]; `engine::pull::pages` says how many there may be, and
//!    `engine::pull::by_folder` lists folder by folder where Dropbox does not give the whole.
//!    [`engine::remote_root`] says which paths lie below the remote root,
//!    and how requests name them.
//! 4. [`engine::walk`] goes over the whole tree, and merges each directory with its rows; before
//!    it, where changes come down, `engine::walk::archive` brings whole folders of small files, and
//!    `engine::walk::pending` visits the rows that are pending. `engine::walk::queue` packs the
//!    directories to come; `engine::walk::special` says where a link or a pipe is in the way, and
//!    `engine::walk::renamed` walks folders that were renamed here, once they are so in Dropbox,
//!    and [`engine::walk::left_by_others`] counts temporary files of other instances,
//!    [`engine::walk::coverage`] counts what is left out, and by what, which
//!    [`engine::walk::tell_coverage`] says where it may be news,
//!    [`engine::walk::kept`] forgets what is kept in Dropbox no longer,
//!    [`engine::walk::lost_mounts`] knows the disks that are gone. [`engine::local_dir`] finds the
//!    directory of a key, and `engine::local_dir::entries` its names;
//!    `engine::local_dir::state_files` are another instance's. What the walks count is the
//!    [`engine::survey`].
//! 5. [`engine::reconcile`] takes one [`engine::item`] after the other: [`engine::observe`] looks
//!    at it, [`core::decide`] decides, and [`engine::actions`] is what that leads to.
//!    [`engine::stable_read`] reads a file as one version of it, and [`engine::file_clock`] says
//!    whether its stamp can be trusted from then on. `engine::under_way` is what is to get to a
//!    side and is not there yet. [`engine::remembered`] is what could not be done before: it is not
//!    offered again and again. `engine::batches` asks for many things at a time.
//!    `engine::collected` is what is left for after the walk, and `engine::walk::again` finds once
//!    more what there is no memory for; `engine::revisit` looks at a path by its key.
//! 6. [`engine::phases`] carries the actions out. It holds the three phases, which do not know each
//!    other; each owns its state. What they wrote to the content dir is made durable by
//!    `engine::durable`.
//! 7. [`engine::planner`] is the second implementation of the actions: a dry run. It says what
//!    would be done, and holds nothing to write with: no disk that writes, no Dropbox. So a dry run
//!    cannot write, whatever is decided.
//! 8. When the walk is over, deletes are judged and carried out; what waited for a name that they
//!    freed comes in a second round. [`report`] says what was done, and its problems and [`error`]
//!    give the exit code.
//!
//! [`engine::download`] brings files down:
//! - `engine::download::downloads`: what the phase holds.
//! - `engine::download::fetch`: one file, fetched to a hidden temporary file and verified.
//! - `engine::download::partial`: the beginning of a large file, kept from a run that broke off.
//! - [`engine::download::staged`]: what is verified, and what stands where it goes.
//! - `engine::download::rights`: who may do what with it.
//! - `engine::download::folders`: folders that come down, or that files need on their way;
//!   `engine::download::private_folders`: which of them keep some out of what is in them;
//!   `engine::download::origins`: where files come from that only have another name now.
//! - [`engine::download::publish`]: putting it in place, the conflict copy before it;
//!   `engine::download::copy_name`: which name that gets; `engine::download::tree_aside`: a folder
//!   that makes way.
//! - [`engine::download::archive_plan`]: where bytes come from, and which folders are worth an
//!   archive; `engine::download::zip` reads one as it arrives.
//!
//! [`engine::upload`] sends files up:
//! - `engine::upload::uploads`: what the phase holds.
//! - [`engine::upload::queue`]: files that wait to go up together, and how many may.
//! - `engine::upload::batch`: many small files in a handful of calls, their bytes strung together
//!   by `engine::upload::concat`.
//! - `engine::upload::single`: a file in calls of its own.
//! - `engine::upload::room`: whether Dropbox has room for a file.
//! - `engine::upload::session`: a large file in chunks, taken up again by a later run.
//! - `engine::upload::source`: the bytes that are sent, given up when the file moves.
//! - [`engine::upload::sent`]: what came of sending; `engine::upload::settled`: what that means.
//! - [`engine::upload::folders`]: folders that must be asked for;
//!   [`engine::upload::folders_above`]: those that exist because something was sent into them.
//! - `engine::upload::just_made`: folders that Dropbox may not know everywhere yet.
//! - [`engine::upload::undecided`]: files that only go up where a person says so.
//!
//! [`engine::moves`] gives a file its new name where it was only renamed:
//! - `engine::moves::renames`: what the renames of a pass hold.
//! - `engine::moves::here`: what was renamed in Dropbox is renamed here; `engine::moves::gone`
//!   knows which files Dropbox has no more under their names.
//! - `engine::moves::there`: what was renamed here is renamed in Dropbox; `engine::moves::pairs`
//!   knows which files are gone here.
//! - `engine::moves::renamed_folders`: folders that were renamed here, as the walk meets them.
//!   `engine::moves::folder_look` says whether one can move as one, `engine::moves::folders_there`
//!   renames it in Dropbox. `engine::moves::folders_here` does the reverse, and
//!   `engine::moves::folders` has what both need. `engine::moves::moved_alike` finds those that
//!   have the same new name on both sides.
//! - `engine::moves::waits`: what deletes wait for, and those that would do so for ever.
//! - `engine::moves::halves`: a delete that is half of a rename waits for the other half.
//!
//! [`engine::delete`] deletes last of all:
//! - `engine::delete::deletes`: what the phase holds.
//! - [`engine::delete::guard`]: the deletes that were collected, and what halts the pass instead.
//! - `engine::delete::folders`: folders to delete, after all that is in them.
//! - `engine::delete::fresh_look`: the last look here before a delete in Dropbox.
//! - `engine::delete::not_found`: what Dropbox does not find to be deleted, and may have.
//! - `engine::delete::trees`: folders that went with all in them, deleted together.
//!
//! # Rooms beside the pass
//! [`daemon`] is `ferrybox run`, which starts passes by a schedule: the loop itself.
//! - [`daemon::gateway`]: the machine that loop drives. [`daemon::timetable`]: when passes start by
//!   this configuration. [`daemon::listening`]: whether Dropbox tells of changes, and what is done
//!   if not. [`daemon::wakeup`]: what ends a wait: SIGHUP, the clock, a sign-in
//!   ([`daemon::sign_in`]), or the [`daemon::watcher`], which watches the content dir with inotify.
//!
//! [`index`] is the three trees on disk, in SQLite; the file itself opens, makes and empties it:
//! - `index::schema`: tables and statements. `index::database`: the open database.
//! - `index::row`: one row, and how a damaged one is told. `index::rows`: rows by their keys;
//!   `index::trees`: those of whole folders.
//! - `index::meta`: what the index belongs to, and what is still due, by name.
//! - `index::totals`: how many rows there are, so that lost ones show. `index::transaction`: what
//!   is committed, and counted.
//! - `index::history`: what the last passes did.
//! - `index::refusals`: what could not be done, kept from pass to pass. `index::sendings`: when a
//!   file was last sent.
//! - `index::carry_over`: an index of an older format becomes one of this.
//! - `index::listing`: what Dropbox tells, as changes or staged. `index::folder_walk`: how far a
//!   listing has come that comes folder by folder. `index::merge`: a complete listing
//!   merged into the rows. `index::held_page`: changes that wait for what is done about them.
//! - `index::pass_tables`: what a pass has to look up and has no memory for, in tables that are
//!   gone when it ends: `index::pass_tables::held` deletes that wait, `index::pass_tables::gone`
//!   files that may have another name, `index::pass_tables::renamed_folders` folders that do,
//!   `index::pass_tables::under_way` what is to get to a side,
//!   `index::pass_tables::folders` and `index::pass_tables::refused`.
//! - `index::summary`: as much of a row as tells a file that is in step. `index::search`: questions
//!   that are not about one key.
//!
//! [`dropbox`] is the API:
//! - [`dropbox::wire`]: what travels. [`dropbox::page`]: a listing read as a stream.
//! - [`dropbox::api`]: a method for each route. `dropbox::call`: how a call travels, and what its
//!   answer means, whatever its route. [`dropbox::batch`]: routes that do many things at once.
//!   [`dropbox::files`]: those that only people ask for.
//! - [`dropbox::retry`]: what a failure means, and when to try again. `dropbox::verdict`: what an
//!   answer means that is no success, and whose words it is in. `dropbox::unknown`: what Dropbox
//!   does in a way that this version does not know is told once.
//! - [`dropbox::auth`]: the sign-in. [`dropbox::tokens`]: where tokens are kept.
//!   [`dropbox::scopes`]: which permissions are granted.
//! - [`dropbox::longpoll`]: Dropbox tells as soon as something has changed.
//!
//! [`io`] has the three seams to the world, which the simulator replaces, and their real sides:
//! - [`io::host`]: the clock, waiting, randomness.
//! - [`io::disk`]: the content dir and the small state files. [`io::listing`]: the names in a
//!   directory, packed. [`io::stat`]: what `stat` says of a file. `io::tree_identity`: what tells
//!   one directory tree from another. `io::real_disk`: the filesystem itself, `io::access`: who may
//!   do what with a file of it. [`io::filesystem`]: what lies under a directory. `io::way`: how
//!   root comes to a content dir, and `io::file_ids`: as whom it works there.
//! - [`io::http`]: one request, one answer. `io::real_http`: the network itself.
//!   [`io::limited_body`]: a body has to get on. [`io::throttle`]: how fast contents travel.
//!   `io::interruptible`: a wait that ends in time, and that a wake-up can end. `io::addresses`:
//!   one address of a host after the other. [`io::name_lookup`]: whether a host has any.
//!   `io::proxy`: the proxy, of the configuration or the environment.
//! - [`io::public_file`]: a file of ours that other programs read.
//! - [`io::deadline`]: when a pass is over. [`io::dirs`]: where our own files are. [`io::env`]:
//!   what the process is told about itself. [`io::systemd`]: what the service manager is told.
//!   [`io::time_zone`]: the time zone of the gateway. [`io::terminal`]: what somebody sees on it;
//!   [`io::interrupt`]: Ctrl-C there.
//!
//! [`logging`] says where lines go; [`logging::file`] is the log file, and `logging::apart` what it
//! must not be. [`report`] is what a pass tells people; `report::lines` how many lines of a kind,
//! `report::problems` what is wrong with which path, `report::held` what a halt keeps from being
//! deleted, and `report::summary` all of it in one line.
//! `report::live` is the line that moves on a terminal, `report::progress` how far and how fast
//! things get on, `report::columns` how wide that is.
//! `report::changes` is what is said of a change, `report::counts` how much was done,
//! `report::trouble` the kinds of problems, and `report::json` all of it for programs.
//! [`words`] has numbers, sizes and names as people read them, [`timestamp`] times as Dropbox
//! writes them.
//!
//! [`config`] is the configuration, read and checked in full before anything else:
//! - `config::keys`: the one table of known keys. `config::document`: the file as a list of them.
//! - `config::file`: where the file is, and whether it may be trusted. [`config::exposure`]: who
//!   else could change a file. [`config::regular_file`]: files that may be anything.
//!   `config::error`: what is wrong, as one line.
//! - `config::openhab`: lines as openHAB's add-on had them, put right and told.
//! - `config::filters`, `config::hosts`, `config::paths`: values of a kind; `config::manners`: how
//!   gentle a pass is, `config::notify`: who is told. `config::tests`: claims about whole files.
//!
//! [`core`] is the pure part:
//! - [`core::decide`]: the decision; `core::decide::table_tests` has the design's tables.
//! - [`core::path`]: local paths and keys. [`core::remote`]: paths, revs and cursors of Dropbox.
//! - [`core::filter`]: which paths travel, and which way. `core::java_pattern`: patterns as Java
//!   reads them. [`core::names`]: names that Dropbox does not take. [`core::own_names`]: our own.
//! - [`core::near_miss`]: what a pattern that matches nothing was probably meant to be.
//! - [`core::globs`]: patterns as gitignore(5) has them. [`core::amounts`]: sizes, rates and times
//!   as people write them. [`core::pace`]: how often a file that changes is sent.
//! - [`core::invocation`]: how the program is called, so that commands in messages can be pasted.
//! - [`core::guard`]: when a pass asks a person. [`core::arrived_content`]: what was moved, not
//!   lost.
//! - [`core::content_hash`]: Dropbox's hash. [`core::conflict_name`]: the name of a conflict copy.
//! - [`core::category`]: what kind of file a name is. [`core::when`]: a time in the past, as typed.
//! - [`core::schedule`]: how a schedule is written (`core::schedule::quartz`,
//!   `core::schedule::crontab`, of `core::schedule::field`s; tests in
//!   `core::schedule::grammar_tests`), when it fires (`core::schedule::fires`, tests in
//!   `core::schedule::fires_tests`), and what is due ([`core::schedule::scheduler`]).
//!
//! # Words
//! One word per idea, here and in the code.
//!
//! *Sides and places.* *content dir*: the local directory. *remote root*: the Dropbox folder it
//! mirrors. *side*: either of them; *up* is to Dropbox, *down* is from it. *mode*: which way
//! changes travel; *directions*: the mode cut by the filters, for one path. *state dir*: where
//! index, cursor and tokens are kept. *own names*: files of ours in the content dir, which never
//! travel; the *marker* is the one that says which content dir it is.
//!
//! *Names of a thing.* *key*: the path both sides are matched by, folded as Dropbox folds it.
//! *display path*: `/real/case/path` as in Dropbox, which filters match and people read; *display
//! name*: its last part. *local path*, *remote path*: how the disk and requests name it.
//!
//! *What is known.* *base*: what both sides last agreed on. *local*: what is seen here. *remote*:
//! what the cursor has told. *row*: what the index holds of one key. *item*: one key with all that
//! is known of it, as a pass sees it. *stamp*: size, mtime, ctime and inode, cheap evidence that a
//! file is unchanged; *racy*: too fresh to trust. *rev*, *cursor*, *content_hash*: as Dropbox uses
//! them. *in step*: both sides are as the base says. *pending*: the remote differs from the base.
//! *settle*: record that both sides agree. *adopt*: settle what was found equal. *forget*: drop the
//! base. *intact*, *damaged*: whether a row has its checksum. *older*: the index is an earlier copy
//! of itself. *not downloadable*: Dropbox has something of this name that is no file.
//!
//! *A pass.* *pass*: one run of the engine. *seams*: Host, Disk and Http, all it has of the world.
//! *walk*: visiting items, the pending ones first (`Walk::Pending`), then all (`Walk::All`).
//! *phase*: download, upload or delete. *actions*: what decisions lead to, done by the phases or
//! said by the *planner*. *context*: what every phase reads and notes. *survey*: what the walks
//! count; *tally*: the part the guards ask about. *observe*: look at an item, and read it where
//! only its content can tell. *pruned*: nothing at or below a path is looked at. *incomplete view*:
//! something could not be looked at, so nothing follows from what was not seen. *undecided*: both
//! sides differ, and only a person knows which to keep. *second round*: the walks again, for what
//! waited for a name. *drain*: read the echo of our own changes. *deadline*: when the pass has to
//! be over; *held* while something is brought to its end.
//!
//! *Moving bytes.* *pace*: how often a file that changes is sent; *sending*: one time that it was.
//! *throttle*: what keeps to a limit of the rate. *stage*: keep what is not to count yet, a
//! verified download or an entry of an unfinished listing. *publish*: rename a staged file into
//! place. *durable*: forced to the medium. *partial file*: the beginning of a large one. *batch*:
//! many small files in a few calls. *session*: one large file in many. *archive*: a folder as one
//! zip. *conflict copy*: the local version that lost its name, kept beside it. *arrived*: came to
//! be on a side by our own doing; *reappeared*: it had been in step there before.
//!
//! *When something is wrong.* *problem*: one path that could not be handled; the pass goes on.
//! *deferred*: it is left for the next pass. *guard*: what keeps deletes from being carried out.
//! *halt*: the pass stops before anything destructive and asks a person; the *approval id* stands
//! for exactly what was asked. *reset*: Dropbox asks to start over.
//!
//! *`ferrybox run`.* *schedule*: when passes start; it *fires*. *due*: fired, or not done yet.
//! *driver*: what the loop drives passes with. *wake-up*: what ends a wait before its time.
//!
//! # What always holds
//! - **Unknown is not absent.** A directory that cannot be read, a listing that is not complete, a
//!   disk that is not mounted any more: no delete follows from it.
//! - **Every destructive act names the version it destroys.** `update(rev)` and `parent_rev` in
//!   Dropbox; locally a fresh look right before the rename or unlink. `RACE:` marks the windows
//!   that cannot be closed.
//! - **Verify before replace.** Length and content hash, both ways, before anything is renamed into
//!   place or settled.
//! - **Our own work proves nothing.** What a pass brought before it was broken off does not count
//!   as a file that was there: it neither hides an emptied side nor dilutes a share of deletes.
//! - **The cursor never runs ahead of the index**, and both are caches: losing, damaging or
//!   exchanging them costs a listing and hashing, nothing else. A page that waits for what is done
//!   about it is in the index before the cursor is stored, wherever that is.
//! - **No file outside the content dir** is opened, made or removed for a name in Dropbox; links
//!   below it are not followed.
//! - **Clocks decide about no file.** Rev, hash and stamp do; a clock can only make a file be read
//!   once more, or be sent later or sooner where it has a pace.
//! - **No secret shows**: not in logs, not in arguments, not in errors. Tokens are in the
//!   configuration and in private files.
//! - **A dry run writes nothing**: not to the tree, the index, the cursor or the token files.
//! - **An idle pass is one request and writes nothing.** What a pass may cost at most, in memory,
//!   requests, bytes and syncs, is held by tests (`tests/system/budgets.rs`).
//!
//! Bounds are marked `LIMIT:` where they stand, with their reason.

pub mod cli;
pub mod commands;
pub mod config;
pub mod core;
pub mod daemon;
pub mod dropbox;
pub mod engine;
pub mod error;
pub mod index;
pub mod io;
pub mod logging;
pub mod report;
pub mod timestamp;
pub mod words;
