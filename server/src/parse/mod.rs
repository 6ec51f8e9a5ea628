//! Reading what people type: times, durations and conditions. Errors are sentences for [`crate::failure::Failure::Usage`].

pub(crate) mod duration;
pub(crate) mod filter;
pub(crate) mod size;
pub(crate) mod time;
