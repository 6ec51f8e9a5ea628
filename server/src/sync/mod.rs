//! What is carried elsewhere: the targets of a database, their workers, and how they stand.

mod links;
mod told;

pub(crate) use links::{AtWork, Link, Links, ledger};
pub(crate) use told::{Circuit, Ledger, Target, Totals, of, of_all};
