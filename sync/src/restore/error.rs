//! Why a restore did not come to its end.

use std::fmt;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::objects::Trouble;
use crate::prove::{Missing, Problem};
use crate::remote::Incarnation;

/// How many of many things an error names.
const NAMED: usize = 5;

/// Nothing was restored: what is there of it is no database yet, and the next try goes on with what was fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotRestored {
    /// The target did not do its part.
    #[error(transparent)]
    Target(#[from] Trouble),
    /// The engine did not.
    #[error("the database cannot be made: {0}")]
    Database(#[from] alluvium::Error),
    /// The bucket holds nothing of the gateway.
    #[error("the bucket holds nothing of {}; it holds {}: check the URL and the name", of(.wanted.as_deref()), list(.there))]
    NoGateway {
        /// Which was asked for.
        wanted: Option<String>,
        /// Those that there are.
        there: Vec<String>,
    },
    /// It has to be said which gateway is meant.
    #[error("the bucket is of several gateways: {}; say which one is to be restored", list(.there))]
    ManyGateways {
        /// Those that there are.
        there: Vec<String>,
    },
    /// It has to be said which branch is meant.
    #[error("the gateway went on in several places: {}; say by its incarnation which one is to be restored", list(.branches))]
    ManyBranches {
        /// Those that there are.
        branches: Vec<Tip>,
    },
    /// No branch ends with this incarnation.
    #[error("the gateway did not end as incarnation {incarnation}, but so: {}; name one of these", list(.branches))]
    NoBranch {
        /// Which was asked for.
        incarnation: Incarnation,
        /// Those that there are.
        branches: Vec<Tip>,
    },
    /// Nothing is as old as was asked for.
    #[error("nothing was cut by {until}; the first cut that is known was sealed at {first}: ask for a later time")]
    TooEarly {
        /// Which was asked for.
        until: Timestamp,
        /// When the first one was sealed.
        first: Timestamp,
    },
    /// The bucket does not prove what it is to be restored from.
    #[error("the bucket does not prove what is asked for: {}; mend it, or allow that something is missing", list(.problems))]
    Unproved {
        /// What is wrong.
        problems: Vec<Problem>,
    },
    /// Rows that were announced are not there.
    #[error("rows were announced and are not in the bucket: {}; wait for them, or allow that something is missing", list(&.units.iter().map(Lack).collect::<Vec<_>>()))]
    Missing {
        /// Units of the cuts asked for that nothing holds.
        units: Vec<Missing>,
    },
    /// Some rows as of then are there only together with newer ones.
    #[error(
        "cut {cut} cannot be had without rows of later ones, up to record {record}, with which its own were folded together before they were sent; {}, or allow newer rows",
        exact(.before, .behind)
    )]
    Newer {
        /// The cut asked for.
        cut: u64,
        /// The last record whose rows would come along.
        record: u64,
        /// The last cut before it that can be had exactly.
        before: Option<Exact>,
        /// The first behind it.
        behind: Option<Exact>,
    },
    /// Some rows as of then were deleted later, and are perhaps not there for that.
    #[error(
        "rows of {key:?} were deleted behind cut {cut}, and it has only {rows} of the {cut_rows} rows that were cut of it: those that lack were \
         put again, or deleted before it was sent; ask for a later time, or allow that newer changes come along"
    )]
    Erased {
        /// The cut asked for.
        cut: u64,
        /// The segment.
        key: String,
        /// Rows that it has.
        rows: u64,
        /// Rows of the units that it holds.
        cut_rows: u64,
    },
    /// Two segments have rows of the same records, and neither has all of the other's.
    #[error("{one:?} and {other:?} overlap in part, which no gateway leaves behind: find out which of them is to stay")]
    Overlap {
        /// One object.
        one: String,
        /// The other.
        other: String,
    },
    /// Metadata are not what they have to be.
    #[error("{key:?} cannot be used: {why}, in line {line}; the bucket is to be checked")]
    Line {
        /// The object.
        key: String,
        /// Which line, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// There is something in the directory already.
    #[error("{} cannot be restored into: {why}; give a directory that is empty or not there yet", .path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
        /// What is there.
        why: String,
    },
    /// Another is at work in the directory.
    #[error("{} is in use by {holder}: wait for its end", .path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
        /// By whom.
        holder: String,
    },
    /// What is whole in the directory is not what is asked for.
    #[error("{} holds a whole restore of {was}, which has only to take its place: ask for the same, or remove the directory", .path.display())]
    Unlike {
        /// The directory.
        path: PathBuf,
        /// What is there.
        was: String,
    },
    /// A file was not to be had.
    #[error("cannot {doing} {}: {source}; check the disk and who may write to it", .path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Whoever asked for it no longer waits for it.
    #[error("the restore was given up; the next one goes on with what was fetched")]
    Stopped,
    /// A task did not come to its end.
    #[error("a task of the restore ended: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// How a branch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// The incarnation of its last cut.
    pub incarnation: Incarnation,
    /// The last cut.
    pub cut: u64,
    /// When that was sealed; none where that is not known.
    pub sealed_at: Option<Timestamp>,
}

/// A cut that can be had as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exact {
    /// Its number.
    pub cut: u64,
    /// When it was sealed.
    pub sealed_at: Timestamp,
}

impl NotRestored {
    pub(super) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> NotRestored {
        let path = path.into();
        move |source| NotRestored::File { doing, path, source }
    }
}

impl fmt::Display for Tip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} up to cut {}", self.incarnation, self.cut)?;
        self.sealed_at.iter().try_for_each(|at| write!(f, " of {at}"))
    }
}

/// What is missing, in words.
struct Lack<'m>(&'m Missing);

impl fmt::Display for Lack<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Missing { cut, table, period, records: (first, last), stated } = self.0;
        write!(f, "records {first} to {last} of table {table}, {period}, announced by cut {cut}")?;
        if *stated { f.write_str(" (a later one says that they are gone)") } else { Ok(()) }
    }
}

fn of(wanted: Option<&str>) -> String {
    wanted.map_or_else(|| "any gateway".to_owned(), |name| format!("the gateway {name:?}"))
}

fn list<T: fmt::Display>(things: &[T]) -> String {
    let mut texts: Vec<_> = things.iter().take(NAMED).map(ToString::to_string).collect();
    match things.len().saturating_sub(NAMED) {
        0 if texts.is_empty() => "nothing".to_owned(),
        0 => texts.join("; "),
        more => {
            texts.push(format!("and {more} more"));
            texts.join("; ")
        }
    }
}

fn exact(before: &Option<Exact>, behind: &Option<Exact>) -> String {
    let name = |exact: &Exact| format!("cut {} of {}", exact.cut, exact.sealed_at);
    let both: Vec<_> = before.iter().chain(behind).map(name).collect();
    if both.is_empty() { "ask for the last one".to_owned() } else { format!("ask for {}", both.join(" or ")) }
}
