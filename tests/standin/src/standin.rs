//! The handle on the account: calls, the person at the browser, and what a test turns and sees.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::account::{Access, Account, Space};
use crate::content_hash::BlockHasher;
use crate::faults::{self, Effect, Fault};
use crate::habits::Habits;
use crate::http::{Delivery, Endpoint, Request, Response};
use crate::jobs::Launch;
use crate::oauth::{all_scopes, scopes_of};
use crate::routes;
use crate::server::Listeners;
use crate::tree::Tree;
use crate::zip::ZipStyle;

/// What a test may run before each request.
pub type Hook = Box<dyn FnMut(&Request) + Send>;

thread_local! {
    /// A hook that makes calls itself must not be called for them.
    static IN_HOOK: Cell<bool> = const { Cell::new(false) };
}

/// One request as it was answered.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The host.
    pub endpoint: Endpoint,
    /// The route, like `files/upload` or `oauth2/token`.
    pub route: String,
    /// The status, also if the answer was never delivered.
    pub status: u16,
    /// The JSON argument; `null` for what has none or is secret.
    pub arg: Value,
    /// The size of the request's body.
    pub bytes_in: u64,
    /// The size of the answer's body.
    pub bytes_out: u64,
    /// Whether the account carried the request out, whatever became of the answer.
    pub applied: bool,
    /// How the answer was to be delivered.
    pub delivery: Delivery,
}

/// Whether a longpoll waits for its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    None,
    Longpoll,
}

pub(crate) struct Shared {
    account: Mutex<Account>,
    changed: Condvar,
    hook: Mutex<Option<Hook>>,
}

impl Shared {
    fn wake(&self) {
        self.changed.notify_all();
    }

    /// Repeats a longpoll until it says something else, or its time is over.
    fn wait<'a>(
        &'a self,
        mut account: MutexGuard<'a, Account>,
        mut response: Response,
        request: &Request,
        until: Instant,
        stopped: &dyn Fn() -> bool,
    ) -> (MutexGuard<'a, Account>, Response) {
        while &response.body[..] == br#"{"changes":false}"# && !stopped() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(account, left);
            account = waited.unwrap_or_else(PoisonError::into_inner).0;
            response = routes::dispatch(&mut account, request.clone(), None);
        }
        (account, response)
    }

    fn run_hook(&self, request: &Request) {
        if IN_HOOK.get() {
            return;
        }
        if let Some(hook) = self.hook_slot().as_mut() {
            IN_HOOK.set(true);
            hook(request);
            IN_HOOK.set(false);
        }
    }

    fn hook_slot(&self) -> MutexGuard<'_, Option<Hook>> {
        self.hook.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All of an account at one moment.
#[derive(Clone)]
pub struct Saved(Account);

/// A handle on one account in memory. Clones share it.
#[derive(Clone)]
pub struct Standin {
    pub(crate) shared: Arc<Shared>,
}

impl Default for Standin {
    fn default() -> Self {
        Self::new()
    }
}

impl Standin {
    /// An empty account with one registered app (`standin-key`, `standin-secret`).
    #[must_use]
    pub fn new() -> Self {
        Self::with_seed(1)
    }

    /// The same with other random-looking ids, revs and tokens.
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        let account = Mutex::new(Account::new(seed));
        let (changed, hook) = (Condvar::new(), Mutex::new(None));
        Self {
            shared: Arc::new(Shared {
                account,
                changed,
                hook,
            }),
        }
    }

    /// Answers one request. A longpoll answers at once.
    #[must_use]
    pub fn handle(&self, request: Request) -> Response {
        self.answer(request, None, Patience::None, &|| false)
    }

    /// Opens four loopback listeners on ports of the system's choice.
    ///
    /// # Errors
    /// If no port can be opened.
    pub fn listen(&self) -> std::io::Result<Listeners> {
        Listeners::open(self, None)
    }

    /// Opens the listeners on four ports in a row.
    ///
    /// # Errors
    /// If one of the ports cannot be opened.
    pub fn listen_on(&self, port: u16) -> std::io::Result<Listeners> {
        Listeners::open(self, (port != 0).then_some(port))
    }

    pub(crate) fn account(&self) -> MutexGuard<'_, Account> {
        self.shared
            .account
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs an edit and wakes whoever waits for changes.
    pub(crate) fn edit<T>(&self, edit: impl FnOnce(&mut Account) -> T) -> T {
        let result = edit(&mut self.account());
        self.shared.wake();
        result
    }

    pub(crate) fn answer(
        &self,
        mut request: Request,
        mut hashed: Option<BlockHasher>,
        patience: Patience,
        stopped: &dyn Fn() -> bool,
    ) -> Response {
        self.shared.run_hook(&request);
        let route = routes::name_of(&request);
        let mut logged = logged(&request, &route);
        let mut account = self.account();
        account.answered += 1;
        account.tick();
        let effect = account.faults.iter_mut().fold(None, |found, fault| {
            // Every rule counts, the first that strikes wins.
            let struck = fault.strike(&route, &request);
            found.or(struck)
        });
        if effect == Some(Effect::CorruptUpload) {
            hashed = None;
        }
        let early = effect
            .as_ref()
            .and_then(|effect| faults::before(&mut account, effect, &mut request, &route));
        let mut response = match early {
            Some(response) => response,
            None => {
                let again = (route == "files/list_folder/longpoll").then(|| request.clone());
                let mut response = routes::dispatch(&mut account, request, hashed);
                if let (Some(again), Patience::Longpoll) = (again, patience) {
                    let until = Instant::now() + longpoll_timeout(&again);
                    (account, response) =
                        self.shared.wait(account, response, &again, until, stopped);
                }
                logged.applied = response.status < 300;
                response
            }
        };
        account.habits.shape(&mut response);
        if let Some(effect) = effect {
            faults::after(&effect, &mut response);
        }
        let id = format!("{:016x}{:016x}", account.seed, account.answered);
        response = response.with("X-Dropbox-Request-Id", id);
        logged.status = response.status;
        logged.bytes_out = response.body.len() as u64;
        logged.delivery = response.delivery;
        account.log.push(logged);
        drop(account);
        self.shared.wake();
        response
    }

    /// Runs something before each request is applied, so that the account can be edited
    /// meanwhile. Calls the hook makes itself do not run it again.
    pub fn on_request(&self, hook: Hook) {
        *self.shared.hook_slot() = Some(hook);
    }

    /// Takes the hook away.
    pub fn take_hook(&self) -> Option<Hook> {
        self.shared.hook_slot().take()
    }

    /// What a person gets who opens the URL and clicks Allow: the code. The browser's requests
    /// are neither logged nor struck by faults, and do not run the hook.
    ///
    /// # Errors
    /// The text of the page if it refuses.
    pub fn approve(&self, authorize_url: &str) -> Result<String, String> {
        let start = authorize_url
            .find("/oauth2/authorize")
            .ok_or("not the authorize page")?;
        let request = |method: &str| Request {
            endpoint: Endpoint::Www,
            method: method.into(),
            target: authorize_url[start..].into(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let open = |method: &str| routes::dispatch(&mut self.account(), request(method), None);
        let page = open("GET");
        let answer = if page.status == 200 {
            open("POST")
        } else {
            page
        };
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let found = match answer.header("Location") {
            Some(location) => between(location, "code=", "&"),
            None => between(&text, "data-token=\"", "\""),
        };
        found.ok_or(text)
    }

    /// The account as it is, with its faults and its log; the hook is not part of it.
    #[must_use]
    pub fn saved(&self) -> Saved {
        Saved(self.account().clone())
    }

    /// Makes the account what it was.
    pub fn restore(&self, saved: &Saved) {
        self.edit(|account| *account = saved.0.clone());
    }

    /// A position that moves with every change in the account: two equal ones of one history
    /// stand for the same tree.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.account().tree.journal.position()
    }

    /// Adds a rule. Rules are tried in the order in which they were added.
    pub fn inject(&self, rule: Fault) {
        self.account().faults.push(rule);
    }

    /// Removes all rules.
    pub fn clear_faults(&self) {
        self.account().faults.clear();
    }

    /// What was asked since the log was last cleared.
    #[must_use]
    pub fn requests(&self) -> Vec<Logged> {
        self.account().log.clone()
    }

    /// Forgets the log.
    pub fn clear_requests(&self) {
        self.account().log.clear();
    }

    /// Registers another app, to be used as `client_id`.
    pub fn register_app(&self, key: &str, secret: &str) {
        self.account().oauth.apps.insert(key.into(), secret.into());
    }

    /// Whether the app has its own folder or everything. Its root is the same tree either way.
    pub fn set_access(&self, access: Access) {
        self.account().access = access;
    }

    /// The space of the account, in bytes.
    pub fn set_quota(&self, bytes: u64) {
        self.account().tree.quota = bytes;
    }

    /// The next approvals grant no other scopes than these.
    pub fn set_scopes(&self, scopes: &[&str]) {
        self.account().oauth.grantable = Some(scopes_of(&scopes.join(" ")));
    }

    /// All access tokens issued so far are expired.
    pub fn expire_access_tokens(&self) {
        let mut account = self.account();
        let now = account.clock.now();
        account
            .oauth
            .grants
            .values_mut()
            .for_each(|grant| grant.expires = now);
    }

    /// The person removes the app: no token and no code is worth anything any more.
    pub fn revoke_all(&self) {
        self.account().oauth.revoke_all();
    }

    /// All list cursors given out so far answer `reset`.
    pub fn reset_cursors(&self) {
        self.edit(|account| account.cursor_epoch += 1);
    }

    /// Makes the account another one, with the same tree.
    pub fn set_account_id(&self, account_id: &str) {
        self.edit(|account| account_id.clone_into(&mut account.account_id));
    }

    /// Changes how the service behaves where it is known to vary.
    pub fn change_habits(&self, change: impl FnOnce(&mut Habits)) {
        self.edit(|account| {
            change(&mut account.habits);
            if account.habits.lag == 0 {
                account.before = None;
            }
            account.tree.shows_parents_folded = account.habits.shows_parents_folded;
            account.tree.refuses_in_new_folders = account.habits.refuses_in_new_folders;
        });
    }

    /// Makes the account that of a member of a team, whose space has this namespace and is empty;
    /// of none if there is no namespace.
    pub fn join_team(&self, namespace: &str) {
        self.edit(|account| {
            let tree = Box::new(Tree::new(account.seed.wrapping_add(1)));
            account.team = (!namespace.is_empty()).then(|| (namespace.to_owned(), tree));
        });
    }

    /// From now on people act in the space of their team, which must have been joined.
    pub fn move_into_team_space(&self) {
        self.edit(|account| {
            account.enter(Space::Team);
            account.people_in = Space::Team;
        });
    }

    /// What a person does or sees in the space of the team.
    pub fn in_team_space<T>(&self, act: impl FnOnce(&Self) -> T) -> T {
        self.edit(|account| account.enter(Space::Team));
        let done = act(self);
        self.edit(|account| account.enter(Space::Team));
        done
    }

    /// Changes the namespace that is both root and home of the account.
    pub fn set_root_namespace(&self, namespace: &str) {
        self.edit(|account| namespace.clone_into(&mut account.namespace));
    }

    /// A token as the app console generates it: four hours, all scopes, no refresh.
    #[must_use]
    pub fn personal_access_token(&self) -> String {
        let mut account = self.account();
        let now = account.clock.now();
        let scopes = account.oauth.grantable.clone().unwrap_or_else(all_scopes);
        account.oauth.issue("standin-key".into(), scopes, now, None)
    }

    /// Pages of listings have at most this many entries, whatever the call allows.
    pub fn set_page_limit(&self, entries: usize) {
        self.account().habits.page_limit = Some(entries.max(1));
    }

    /// Whether the contents of files that are uploaded from now on are kept. If not, only their
    /// sizes and hashes are, and a download of them is answered with 500.
    pub fn set_keep_contents(&self, keep: bool) {
        let mut account = self.account();
        account.keep_contents = keep;
        account.sessions.keep = keep;
    }

    /// How the archives of `files/download_zip` are written from now on.
    pub fn set_zip_style(&self, style: ZipStyle) {
        self.account().habits.zip_style = style;
    }

    /// Which batches become jobs, and after how many further requests of any kind a job is
    /// carried out. Until then its check says `in_progress`; with 0 it never does.
    pub fn set_jobs(&self, launch: Launch, requests: u32) {
        let mut account = self.account();
        account.launch = launch;
        account.job_delay = requests;
    }

    /// Carries out the jobs that are still open.
    pub fn finish_jobs(&self) {
        self.edit(Account::finish_jobs);
    }

    /// Moves the account's clock forward, or back.
    pub fn advance_clock(&self, seconds: i64) {
        let mut account = self.account();
        let now = account.clock.now();
        account.clock.set(now.saturating_add(seconds));
    }

    /// Sets the account's clock, in seconds since 1970.
    pub fn set_clock(&self, seconds: i64) {
        self.account().clock.set(seconds);
    }

    /// Lets the account's clock follow that of this machine. It stands still otherwise.
    pub fn run_clock(&self) {
        self.account().clock.run();
    }
}

fn longpoll_timeout(request: &Request) -> Duration {
    let arg: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    Duration::from_secs(arg["timeout"].as_u64().unwrap_or(30))
}

fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let (_, rest) = text.split_once(start)?;
    let found = rest.split(end).next()?;
    Some(found.to_owned())
}

/// The log line of a request, before its answer is known. Forms hold secrets and are left out.
fn logged(request: &Request, route: &str) -> Logged {
    let header = request.header("Dropbox-API-Arg").map(str::to_owned);
    let arg = match header.or_else(|| request.query("arg")) {
        Some(text) => serde_json::from_str(&text).ok(),
        None if route.starts_with("oauth2/") || request.endpoint == Endpoint::Content => None,
        None => serde_json::from_slice(&request.body).ok(),
    };
    Logged {
        endpoint: request.endpoint,
        route: route.to_owned(),
        status: 0,
        arg: arg.unwrap_or_default(),
        bytes_in: request.body.len() as u64,
        bytes_out: 0,
        applied: false,
        delivery: Delivery::Whole,
    }
}

/// What stands at a path, as a test sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder,
    /// A file.
    File {
        /// Its size in bytes.
        size: u64,
        /// Its content hash.
        content_hash: String,
        /// Its id, which a move keeps.
        id: String,
        /// Its revision.
        rev: String,
        /// The modification time its client gave.
        client_modified: String,
    },
}

/// Display paths and what stands there.
pub type Snapshot = BTreeMap<String, Node>;
