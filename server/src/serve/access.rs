//! Who may do what, asked anew for every request, and the refusals written to the audit trail.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alluvium::{Action, AuditEntry, AuditOutcome, Database, KeyHash, Result, Rights, Scope, Target};
use alluvium_protocol::code::Code;
use alluvium_protocol::message::Failed;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::failed;

/// Refusals of different things that are noted before they are written. More are counted together.
const REFUSALS: usize = 256;
/// What a refusal beyond those is said to be about.
const OTHERS: &str = "(others)";

/// Someone connected, as the handshake showed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// A principal with a certificate of this key.
    Certified {
        /// The principal.
        principal: Arc<str>,
        /// The key.
        key: KeyHash,
    },
    /// A principal with a token, which was looked at.
    Bearer {
        /// The principal.
        principal: Arc<str>,
    },
    /// Anybody on this machine, where the server was told not to ask.
    Anybody,
}

impl Caller {
    /// Whom they are taken for.
    pub(crate) fn principal(&self) -> &str {
        match self {
            Caller::Certified { principal, .. } | Caller::Bearer { principal } => principal,
            Caller::Anybody => "dev",
        }
    }
}

/// The gate through which every request goes.
#[derive(Debug)]
pub(crate) struct Access {
    db: Arc<Database>,
    /// How often what principals may do was changed.
    changes: watch::Sender<u64>,
    /// What was found out since the last change.
    known: RwLock<Known>,
    refusals: Mutex<Refusals>,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    at: u64,
    rights: HashMap<Caller, Arc<Rights>>,
}

/// Who was refused what, of what, and how often.
type Refusals = BTreeMap<(String, &'static str, String), u32>;

impl Access {
    pub(crate) fn new(db: Arc<Database>) -> Self {
        let (known, refusals) = Default::default();
        Access { db, changes: watch::Sender::new(0), known, refusals, refused: AtomicU64::new(0) }
    }

    /// What principals may do, or which certificates hold, was changed: everybody is asked anew.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Tells of such changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What a caller may do now; a refusal if they are not known any more.
    pub(crate) fn rights(&self, caller: &Caller) -> Result<Arc<Rights>, Failed> {
        let at = *self.changes.borrow();
        {
            let known = self.known.read();
            if let Some(rights) = known.rights.get(caller).filter(|_| known.at == at) {
                return Ok(rights.clone());
            }
        }
        let rights = Arc::new(self.look_up(caller)?);
        let mut known = self.known.write();
        if known.at != at {
            *known = Known { at, ..Known::default() };
        }
        known.rights.insert(caller.clone(), rights.clone());
        Ok(rights)
    }

    fn look_up(&self, caller: &Caller) -> Result<Rights, Failed> {
        let (principal, key) = match caller {
            Caller::Anybody => return Ok(Rights::everything(caller.principal())),
            Caller::Certified { principal, key } => (principal, Some(*key)),
            Caller::Bearer { principal } => (principal, None),
        };
        let principals = self.db.principals();
        let is_revoked = key.map_or(Ok(false), |key| principals.is_revoked(key));
        if is_revoked.map_err(|error| failed::of_engine(&error))? {
            return Err(self.unknown(principal, "the certificate was revoked: get another"));
        }
        let rights = principals.rights(principal).map_err(|error| failed::of_engine(&error))?;
        rights.ok_or_else(|| self.unknown(principal, "there is no such principal, or it is disabled: see `alluvium user`"))
    }

    fn unknown(&self, principal: &str, why: &str) -> Failed {
        self.note(principal, "connect", String::new());
        Failed::new(Code::Unauthenticated, format!("{principal}: {why}"))
    }

    /// Whether an action on all of something is allowed.
    pub(crate) fn permit(&self, caller: &Caller, action: Action, target: Target<'_>) -> Result<(), Failed> {
        if self.rights(caller)?.permit(action, target) { Ok(()) } else { Err(self.refuse(caller, action, target)) }
    }

    /// The series of a table to which an action is allowed.
    pub(crate) fn scope(&self, caller: &Caller, action: Action, table: &str) -> Result<Scope, Failed> {
        let scope = self.rights(caller)?.scope(action, table);
        scope.ok_or_else(|| self.refuse(caller, action, Target::Table(table)))
    }

    /// The same, where a refusal is nothing to be noted.
    pub(super) fn held(&self, caller: &Caller, action: Action, table: &str) -> Option<Scope> {
        self.rights(caller).ok()?.scope(action, table)
    }

    /// Notes a refusal, and says it.
    pub(crate) fn refuse(&self, caller: &Caller, action: Action, target: Target<'_>) -> Failed {
        let (principal, action, object) = (caller.principal(), action.name(), describe(target));
        let said = format!("{principal} may not {action} {object}: see `alluvium grant show {principal}`");
        self.note(principal, action, object);
        Failed::new(Code::Refused, said)
    }

    /// How many requests were refused.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn note(&self, who: &str, what: &'static str, object: String) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let mut refusals = self.refusals.lock();
        let mut key = (who.to_owned(), what, object);
        if refusals.len() >= REFUSALS && !refusals.contains_key(&key) {
            key = (OTHERS.to_owned(), what, OTHERS.to_owned());
        }
        let times = refusals.entry(key).or_default();
        *times = times.saturating_add(1);
    }

    /// Writes to the audit trail what was refused since the last time.
    pub(crate) fn write_refusals(&self) -> Result<()> {
        let refusals = std::mem::take(&mut *self.refusals.lock());
        if refusals.is_empty() {
            return Ok(());
        }
        let written = self.db.transaction(|transaction| {
            for ((who, what, object), times) in &refusals {
                let entry = AuditEntry::new(who, *what, AuditOutcome::Refused).object(object).times(*times);
                transaction.trail().append(entry)?;
            }
            Ok(())
        });
        if written.is_err() {
            // They come with the next.
            let mut waiting = self.refusals.lock();
            for (key, times) in refusals {
                let sum = waiting.entry(key).or_default();
                *sum = sum.saturating_add(times);
            }
        }
        written
    }
}

/// As the audit trail and grants say it.
fn describe(target: Target<'_>) -> String {
    match target {
        Target::Table(name) => format!("table:{name}"),
        Target::Collection(name) => format!("collection:{name}"),
        Target::Queue(name) => format!("queue:{name}"),
        Target::Key(key) => format!("key:{key}"),
        _ => "database".to_owned(),
    }
}
