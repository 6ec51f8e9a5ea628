//! What those who watch the server are told, in the text format of Prometheus.
//!
//! - `labels`: what is counted apart;
//! - `counted`: what the server counts as it works, with atomics; the path of batches takes no lock for it;
//! - `sampled`: how the database stands, looked up once a second at most;
//! - `exposed`: all of it under its names, which `PROTOCOL.md` lists.

mod counted;
mod exposed;
mod labels;
mod sampled;

pub(crate) use counted::{Counted, Metrics};
pub(crate) use exposed::{CONTENT_TYPE, Present, expose};
pub(crate) use labels::{Kind, Refusal};
pub(crate) use sampled::Sampled;
