//! The connection to the server: made, greeted, kept, and made anew.

mod keeper;
mod link;

pub(crate) use keeper::{Core, keep};
pub(crate) use link::Link;
