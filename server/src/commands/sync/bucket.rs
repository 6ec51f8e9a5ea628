//! A bucket that is only read, by its URL.

use alluvium_sync::objects::Settings;

use crate::failure::{Failure, Outcome};

/// How a bucket is reached. A folder has to be there: it is not to be made by who looks into it.
pub(crate) fn at(url: &str, endpoint: Option<&str>) -> Outcome<Settings> {
    let allow_http = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    there(Settings { endpoint: endpoint.map(str::to_owned), allow_http, ..Settings::new(url) })
}

/// The same of settings that are known.
pub(crate) fn there(settings: Settings) -> Outcome<Settings> {
    match settings.folder().filter(|folder| !folder.is_dir()) {
        Some(folder) => Err(Failure::failed(format_args!("there is no folder {}", folder.display()))),
        None => Ok(settings),
    }
}
