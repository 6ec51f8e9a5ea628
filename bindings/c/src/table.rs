//! Tables: made, extended, renamed, dropped.

use std::ffi::c_char;

use alluvium_bindings::ensure;
use arrow::ffi::FFI_ArrowSchema;
use engine::{Error, FieldType, Partitioning, TableSpec, TimeUnit};

use crate::database::{alluvium_db, open};
use crate::handle::{change, handle, make, read, take};
use crate::status::{Failure, Outcome, alluvium_status, done};
use crate::text::{give, needs, text};

/// A table that is to be. One thread at a time.
pub struct alluvium_spec {
    _opaque: [u8; 0],
}

handle!(alluvium_spec, TableSpec, b"spec    ", "the table specification");

/// What a field holds.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum alluvium_type {
    /// `double`.
    ALLUVIUM_FLOAT64 = 0,
    /// `float`.
    ALLUVIUM_FLOAT32 = 1,
    /// `int64_t`.
    ALLUVIUM_INT64 = 2,
    /// `uint64_t`.
    ALLUVIUM_UINT64 = 3,
    /// `bool`.
    ALLUVIUM_BOOL = 4,
    /// UTF-8 text.
    ALLUVIUM_TEXT = 5,
    /// Bytes.
    ALLUVIUM_BINARY = 6,
    /// `int64_t` times a power of ten: 1234 with a scale of 2 is 12.34.
    ALLUVIUM_DECIMAL = 7,
}

/// What times are counted in, since 1970, UTC.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum alluvium_time_unit {
    /// Milliseconds.
    ALLUVIUM_MILLISECONDS = 0,
    /// Microseconds, as tables have it unless told otherwise.
    ALLUVIUM_MICROSECONDS = 1,
    /// Nanoseconds: 1677 to 2262.
    ALLUVIUM_NANOSECONDS = 2,
}

fn field_type(kind: i32, scale: u8) -> Outcome<FieldType> {
    use alluvium_type::*;
    const TYPES: [(alluvium_type, FieldType); 7] = [
        (ALLUVIUM_FLOAT64, FieldType::Float64),
        (ALLUVIUM_FLOAT32, FieldType::Float32),
        (ALLUVIUM_INT64, FieldType::Int64),
        (ALLUVIUM_UINT64, FieldType::UInt64),
        (ALLUVIUM_BOOL, FieldType::Bool),
        (ALLUVIUM_TEXT, FieldType::Utf8),
        (ALLUVIUM_BINARY, FieldType::Binary),
    ];
    if kind == ALLUVIUM_DECIMAL as i32 {
        return format!("decimal({scale})").parse().map_err(Failure::from);
    }
    let known = TYPES.iter().find(|(known, _)| *known as i32 == kind);
    known.map(|(_, kind)| *kind).ok_or_else(|| Failure::input(format!("there is no type {kind}: see alluvium_type")))
}

/// A table of this name without columns yet: microseconds, partitions chosen by rate. NULL for a name that is no text.
///
/// Ownership: the caller's, to be freed with `alluvium_spec_free`. Threads: any.
///
/// # Safety
///
/// `table` is NULL or ends in a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_spec_new(table: *const c_char) -> *mut alluvium_spec {
    let mut made = std::ptr::null_mut();
    // SAFETY: as the caller promises.
    done(|| Ok(made = make(TableSpec::new(unsafe { text(table, "the name of the table")? }))));
    made
}

/// Adds a tag: text that helps to tell series apart.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; the text is NULL or ends in a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_spec_tag(spec: *mut alluvium_spec, name: *const c_char) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let name = text(name, "the name of the tag")?;
        change(spec, |spec| Ok(spec.tags.push(name.to_owned())))
    })
}

/// Adds a field of an `alluvium_type`; `scale` is that of an `ALLUVIUM_DECIMAL`, and else of no matter.
///
/// # Safety
///
/// As of `alluvium_spec_tag`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_spec_field(
    spec: *mut alluvium_spec,
    name: *const c_char,
    kind: i32,
    scale: u8,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let (name, kind) = (text(name, "the name of the field")?, field_type(kind, scale)?);
        change(spec, |spec| Ok(spec.fields.push((name.to_owned(), kind))))
    })
}

/// Sets what times are counted in, an `alluvium_time_unit`.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_spec_time_unit(spec: *mut alluvium_spec, unit: i32) -> alluvium_status {
    use alluvium_time_unit::*;
    const UNITS: [(alluvium_time_unit, TimeUnit); 3] = [
        (ALLUVIUM_MILLISECONDS, TimeUnit::Milli),
        (ALLUVIUM_MICROSECONDS, TimeUnit::Micro),
        (ALLUVIUM_NANOSECONDS, TimeUnit::Nano),
    ];
    done(|| {
        let known = UNITS.iter().find(|(known, _)| *known as i32 == unit);
        let unit = known.ok_or_else(|| Failure::input(format!("there is no unit of time {unit}: see alluvium_time_unit")))?.1;
        // SAFETY: as the caller promises.
        unsafe { change(spec, |spec| Ok(spec.time_unit = unit)) }
    })
}

/// Sets the span of time that a segment may cover: "auto", "hour", "day", "month" or "year".
///
/// # Safety
///
/// As of `alluvium_spec_tag`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_spec_partitioning(spec: *mut alluvium_spec, span: *const c_char) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let span: Partitioning = text(span, "the span of partitions")?.parse()?;
        change(spec, |spec| Ok(spec.partitioning = span))
    })
}

/// Frees a specification. NULL is none.
///
/// # Safety
///
/// As of `alluvium_spec_time_unit`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_spec_free(spec: *mut alluvium_spec) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { take(spec) }.map(drop))
}

/// Makes a table. The specification stays the caller's.
///
/// Threads: any. Errors: `ALLUVIUM_MISSING` where one of that name exists already.
///
/// # Safety
///
/// The handles are NULL, or are or were ones of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_table_create(db: *const alluvium_db, spec: *const alluvium_spec) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let spec = read(spec, |spec| Ok(spec.clone()))?;
        open(db)?.with(|db| Ok(db.create_table(spec).map(drop)?))
    })
}

/// Makes a table, or adds the columns to it that it lacks: what a gateway does when it starts. The specification stays the caller's.
///
/// Threads: any. Errors: `ALLUVIUM_INPUT` where it has a column of the same name that is something else.
///
/// # Safety
///
/// As of `alluvium_table_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_table_ensure(db: *const alluvium_db, spec: *const alluvium_spec) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let spec = read(spec, |spec| Ok(spec.clone()))?;
        open(db)?.with(|db| Ok(ensure(db, &spec).map(drop)?))
    })
}

/// Gives a table another name.
///
/// Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; the texts are NULL or end in a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_table_rename(
    db: *const alluvium_db,
    table: *const c_char,
    name: *const c_char,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let (table, name) = (text(table, "the name of the table")?, text(name, "its new name")?);
        open(db)?.with(|db| Ok(db.rename_table(table, name).map(drop)?))
    })
}

/// Drops a table with all its rows.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_table_rename`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_table_drop(db: *const alluvium_db, table: *const c_char) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let table = text(table, "the name of the table")?;
        open(db)?.with(|db| Ok(db.drop_table(table)?))
    })
}

/// The columns of a table, as its rows have them: `time`, tags, fields, by the Arrow C data interface.
///
/// Ownership: `*schema` is the caller's, to be released through its `release`. Threads: any.
///
/// # Safety
///
/// As of `alluvium_table_rename`; `schema` is NULL or a place for one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_table_schema(
    db: *const alluvium_db,
    table: *const c_char,
    schema: *mut FFI_ArrowSchema,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        needs(schema, "the schema")?;
        let table = text(table, "the name of the table")?;
        let found = open(db)?.with(|db| Ok(db.table(table)?.arrow()))?;
        give(schema, FFI_ArrowSchema::try_from(&*found).map_err(Error::from)?, "the schema")
    })
}
