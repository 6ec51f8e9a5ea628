//! Object stores: folders, S3 and what speaks it, Azure Blob.
//!
//! - [`Settings`] say where a [`Target`] is and how it is spoken to;
//! - [`Target::put_new`] creates a name once, [`Target::put_object`] puts what is named by its hash: both may be asked again after any
//!   failure, and neither says it is done before that is certain;
//! - [`Target::get_bytes`], [`Target::get_to_file`], [`Target::list`] and [`Target::delete`] are what a check or a restore asks for;
//! - [`Trouble`] says what to do where a store does not do its part, [`Throttle`] keeps uploads within their bandwidth and their bytes a day;
//! - [`bucket`] asks a store for what a proof needs.

pub mod bucket;
mod connect;
mod create;
mod credentials;
mod digest;
mod exchange;
mod folder;
mod http;
mod ini;
mod location;
mod paced;
mod parts;
mod put;
mod read;
mod settings;
mod source;
mod summed;
mod target;
mod throttle;
mod tls;
mod trouble;
mod verify;

pub use create::NewObject;
pub(crate) use folder::make as make_folder;
pub use parts::{PartDone, Sizes, Unfinished};
pub use put::{Altered, Delivered, NotPut, Upload};
pub use read::{Listed, NotGot};
pub use settings::{NotASetting, Settings};
pub use source::Source;
pub use target::Target;
pub use throttle::{Spent, Throttle};
pub use trouble::{Kind, Trouble};
pub use verify::Verified;
