//! Text and bytes across the boundary.

use std::ffi::{CStr, c_char};
use std::time::Duration;

use crate::handle::{handle, make, read, take};
use crate::status::{ALLUVIUM_OK, Failure, Outcome, alluvium_status, call, done};

/// Bytes that the library made: read them with `alluvium_bytes_data` and `alluvium_bytes_size`, and free them.
pub struct alluvium_bytes {
    _opaque: [u8; 0],
}

handle!(alluvium_bytes, Box<[u8]>, b"bytes   ", "the bytes handle");

/// A list of texts.
pub struct alluvium_strings {
    _opaque: [u8; 0],
}

handle!(alluvium_strings, Vec<Box<[u8]>>, b"strings ", "the strings handle");

/// Text that ends in a NUL.
///
/// # Safety
///
/// The pointer is NULL or points to text that ends in a NUL and stays as it is for the life given to it.
pub(crate) unsafe fn text<'t>(text: *const c_char, what: &str) -> Outcome<&'t str> {
    if text.is_null() {
        return Err(Failure::misuse(format!("{what} is NULL")));
    }
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|error| Failure::input(format!("{what} is not UTF-8: {error}")))
}

/// The same that may be NULL.
///
/// # Safety
///
/// As of [`text`].
pub(crate) unsafe fn maybe_text<'t>(at: *const c_char, what: &str) -> Outcome<Option<&'t str>> {
    // SAFETY: as the caller promises.
    if at.is_null() { Ok(None) } else { unsafe { text(at, what) }.map(Some) }
}

/// So many bytes.
///
/// # Safety
///
/// The pointer points to so many bytes, which stay as they are for the life given to them; it may be NULL where there are none.
pub(crate) unsafe fn bytes<'b>(data: *const u8, size: usize, what: &str) -> Outcome<&'b [u8]> {
    if size == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Failure::misuse(format!("{what} is NULL")));
    }
    if isize::try_from(size).is_err() {
        return Err(Failure::misuse(format!("{what} cannot have {size} bytes")));
    }
    // SAFETY: as the caller promises, and no object is larger.
    Ok(unsafe { std::slice::from_raw_parts(data, size) })
}

/// Writes an answer.
///
/// # Safety
///
/// The pointer is NULL, or a place for such a value.
pub(crate) unsafe fn give<T>(place: *mut T, value: T, what: &str) -> Outcome {
    if place.is_null() {
        return Err(Failure::misuse(format!("the place for {what} is NULL")));
    }
    // SAFETY: as the caller promises; what was there is not read.
    unsafe { place.write(value) };
    Ok(())
}

/// Refuses a place that is NULL, before anything is done that cannot be told.
pub(crate) fn needs<T>(place: *const T, what: &str) -> Outcome {
    if place.is_null() { Err(Failure::misuse(format!("the place for {what} is NULL"))) } else { Ok(()) }
}

/// The same where an answer may be unwanted.
///
/// # Safety
///
/// As of [`give`].
pub(crate) unsafe fn may_give<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: as the caller promises.
        unsafe { place.write(value) };
    }
}

/// A time that is given in milliseconds; below zero is for ever.
pub(crate) fn millis(millis: i64) -> Duration {
    u64::try_from(millis).map_or(Duration::MAX, Duration::from_millis)
}

/// New bytes, which are ended by a NUL that does not count, so that text can be read as such.
pub(crate) fn new_bytes(bytes: impl Into<Vec<u8>>) -> *mut alluvium_bytes {
    make(ended(bytes))
}

pub(crate) fn new_strings(texts: impl IntoIterator<Item = String>) -> *mut alluvium_strings {
    make(texts.into_iter().map(ended).collect())
}

pub(crate) fn ended(bytes: impl Into<Vec<u8>>) -> Box<[u8]> {
    let mut bytes = bytes.into();
    bytes.push(0);
    bytes.into()
}

/// The bytes, followed by a NUL that does not count; NULL for what is no such handle.
///
/// Ownership: the handle's; they hold until it is freed. Threads: any.
///
/// # Safety
///
/// The pointer is NULL, or is or was a handle of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_bytes_data(bytes: *const alluvium_bytes) -> *const u8 {
    let mut data = std::ptr::null();
    // SAFETY: as the caller promises.
    call(|| unsafe { read(bytes, |bytes| Ok(data = bytes.as_ptr())) }.map(|()| ALLUVIUM_OK));
    data
}

/// How many bytes there are; 0 for what is no such handle.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_bytes_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_bytes_size(bytes: *const alluvium_bytes) -> usize {
    let mut size = 0;
    // SAFETY: as the caller promises.
    call(|| unsafe { read(bytes, |bytes| Ok(size = bytes.len() - 1)) }.map(|()| ALLUVIUM_OK));
    size
}

/// Frees bytes. NULL is none.
///
/// # Safety
///
/// As of `alluvium_bytes_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_bytes_free(bytes: *mut alluvium_bytes) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { take(bytes) }.map(drop))
}

/// How many texts there are; 0 for what is no such handle.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_bytes_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_strings_count(strings: *const alluvium_strings) -> usize {
    let mut count = 0;
    // SAFETY: as the caller promises.
    call(|| unsafe { read(strings, |strings| Ok(count = strings.len())) }.map(|()| ALLUVIUM_OK));
    count
}

/// The text at a position from 0 on, which ends in a NUL; NULL where there is none.
///
/// Ownership: the handle's; it holds until that is freed. Threads: any.
///
/// # Safety
///
/// As of `alluvium_bytes_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_strings_get(strings: *const alluvium_strings, position: usize) -> *const c_char {
    let mut found = std::ptr::null();
    let look = |strings: &Vec<Box<[u8]>>| {
        found = strings.get(position).map_or(std::ptr::null(), |text| text.as_ptr().cast());
        Ok(ALLUVIUM_OK)
    };
    // SAFETY: as the caller promises.
    call(|| unsafe { read(strings, look) });
    found
}

/// Frees a list of texts. NULL is none.
///
/// # Safety
///
/// As of `alluvium_bytes_data`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_strings_free(strings: *mut alluvium_strings) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { take(strings) }.map(drop))
}
