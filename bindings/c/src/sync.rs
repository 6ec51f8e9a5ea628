//! Carrying what is there to a target, and how far that is.

use std::ffi::c_char;

use ::alluvium_sync::objects::Settings;
use alluvium_bindings::{Here, Sync, statuses};

use crate::database::{alluvium_db, open};
use crate::handle::{handle, make, read, take};
use crate::status::{Failure, Outcome, alluvium_status, done};
use crate::text::{alluvium_bytes, give, needs, new_bytes, text};

/// A target and what carries everything there. Any thread, several at a time.
pub struct alluvium_sync {
    _opaque: [u8; 0],
}

handle!(alluvium_sync, Here<Sync>, b"sync    ", "the sync handle");

/// How all deliveries stand, as JSON: a list of objects with `name`, `gateway`, `paused`, `cuts`, `cuts_left`, `units_left` and `delivered_through`.
///
/// Ownership: `*json` is the caller's, to be freed with `alluvium_bytes_free`. Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; `json` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_sync_status(db: *const alluvium_db, json: *mut *mut alluvium_bytes) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        needs(json, "the status")?;
        let found = open(db)?.with(|db| Ok(statuses(db)?))?;
        give(json, new_bytes(found.to_string()), "the status")
    })
}

/// The delivery `name` to a target: a folder, `s3://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`, with credentials from the environment, where the gateway is
/// known as `gateway`. It carries nothing before `alluvium_sync_start` or `alluvium_sync_run_once`, and goes on where it was when the name was used
/// before.
///
/// Ownership: `*sync` is the caller's, to be freed with `alluvium_sync_free` before the database is closed. Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; texts are NULL or end in a NUL; `sync` is NULL or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_sync_new(
    db: *const alluvium_db,
    name: *const c_char,
    gateway: *const c_char,
    url: *const c_char,
    sync: *mut *mut alluvium_sync,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        needs(sync, "the sync handle")?;
        let (name, gateway) = (text(name, "the name of the delivery")?, text(gateway, "the name of the gateway")?);
        let target = Settings::new(text(url, "the URL of the target")?);
        let open = open(db)?;
        let made = Sync::new(open.kept()?, &open.path, name, gateway, &target)?;
        give(sync, make(Here::new(made)), "the sync handle")
    })
}

/// # Safety
///
/// The handle is NULL, or is or was one of this library.
unsafe fn with(sync: *const alluvium_sync, does: impl FnOnce(&Sync) -> Outcome) -> alluvium_status {
    let forked = || Failure::misuse("this process was forked from the one that syncs");
    // SAFETY: as the caller promises.
    done(|| unsafe { read(sync, |here| does(here.get().ok_or_else(forked)?)) })
}

/// Carries everything there is, and returns when the target has it.
///
/// Threads: any. Errors: `ALLUVIUM_UNAVAILABLE` where the target does not do its part.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_sync_run_once(sync: *const alluvium_sync) -> alluvium_status {
    // SAFETY: as the caller promises.
    unsafe { with(sync, |sync| Ok(sync.run_once(|| false).map(drop)?)) }
}

/// Carries what there is and what comes, in threads of its own, until it is stopped or freed.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_sync_run_once`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_sync_start(sync: *const alluvium_sync) -> alluvium_status {
    // SAFETY: as the caller promises.
    unsafe { with(sync, |sync| Ok(sync.start()?)) }
}

/// Stops; what was on its way is gone on with the next time.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_sync_run_once`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_sync_stop(sync: *const alluvium_sync) -> alluvium_status {
    // SAFETY: as the caller promises.
    unsafe {
        with(sync, |sync| {
            sync.stop();
            Ok(())
        })
    }
}

/// Sends nothing until it is told otherwise, after a restart too, or sends again.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_sync_run_once`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_sync_pause(sync: *const alluvium_sync, paused: bool) -> alluvium_status {
    // SAFETY: as the caller promises.
    unsafe { with(sync, |sync| Ok(sync.pause(paused)?)) }
}

/// Tries at once what it waits for: a target that failed, and what was set aside.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_sync_run_once`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_sync_retry(sync: *const alluvium_sync) -> alluvium_status {
    // SAFETY: as the caller promises.
    unsafe {
        with(sync, |sync| {
            sync.retry();
            Ok(())
        })
    }
}

/// Stops, and frees the handle. NULL is none.
///
/// # Safety
///
/// As of `alluvium_sync_run_once`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_sync_free(sync: *mut alluvium_sync) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { take(sync) }.map(drop))
}
