//! Settings, by their names.

use std::ffi::c_char;

use alluvium_bindings::set;
use engine::Settings;

use crate::handle::{change, handle, make, take};
use crate::status::{alluvium_status, done};
use crate::text::text;

/// How a database is to behave. One thread at a time.
pub struct alluvium_settings {
    _opaque: [u8; 0],
}

handle!(alluvium_settings, Settings, b"settings", "the settings handle");

/// The default settings.
///
/// Ownership: the caller's, to be freed with `alluvium_settings_free`. Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn alluvium_settings_new() -> *mut alluvium_settings {
    make(Settings::default())
}

/// Changes one setting: sizes are bytes ("memtable_bytes", "33554432"), durations are written like "90s" or "1h30m" ("seal_after", "10m"); "keep" and
/// "disk_bytes" bound what is kept. `README.md` lists them.
///
/// Errors: `ALLUVIUM_INPUT` where there is no such setting, or none of that value.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; the texts are NULL or end in a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_settings_set(
    settings: *mut alluvium_settings,
    name: *const c_char,
    value: *const c_char,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let (name, value) = (text(name, "the name of a setting")?, text(value, "the value of a setting")?);
        change(settings, |settings| Ok(set(settings, name, value)?))
    })
}

/// Frees settings. NULL is none.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_settings_free(settings: *mut alluvium_settings) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { take(settings) }.map(drop))
}
