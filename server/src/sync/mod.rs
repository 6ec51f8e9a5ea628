//! What is carried elsewhere: the targets of a database, their workers, and how they stand.

mod events;
mod links;
mod told;
mod watch;

pub(crate) use links::{AtWork, Link, Links, ledger};
pub(crate) use told::{Circuit, Ledger, Target, Totals, of, of_all};
