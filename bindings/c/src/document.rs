//! JSON documents in collections.

use std::ffi::c_char;

use alluvium_bindings::condition;
use engine::{CollectionSpec, Document, DocumentQuery, PutDocument};
use serde_json::Value;

use crate::database::alluvium_db;
use crate::handle::{handle, make, read, take};
use crate::kv::if_revision as given;
use crate::status::{ALLUVIUM_NONE, ALLUVIUM_OK, Failure, Outcome, alluvium_status, call, done};
use crate::text::{
    alluvium_bytes, alluvium_strings, bytes, ended, give, may_give, maybe_text, millis, needs, new_bytes, new_strings, text,
};
use crate::transaction::{alluvium_tx, in_either};

/// A page of documents. Any thread, several at a time.
pub struct alluvium_documents {
    _opaque: [u8; 0],
}

handle!(alluvium_documents, Found, b"docs    ", "the documents");

/// A page that was found.
pub(crate) struct Found {
    documents: Vec<Listed>,
    /// What the next page is found behind.
    next: Option<Box<[u8]>>,
}

/// A document; id and JSON are ended by a NUL that does not count.
struct Listed {
    id: Box<[u8]>,
    json: Box<[u8]>,
    revision: u64,
}

impl Listed {
    fn new(document: Document) -> Self {
        let json = document.content.to_string();
        Listed { id: ended(document.id), json: ended(json), revision: document.revision }
    }
}

/// # Safety
///
/// There are so many bytes.
unsafe fn json(data: *const c_char, size: usize, what: &str) -> Outcome<Value> {
    // SAFETY: as the caller promises.
    let bytes = unsafe { bytes(data.cast(), size, what)? };
    serde_json::from_slice(bytes).map_err(|error| Failure::input(format!("{what} is no JSON: {error}")))
}

/// Makes a collection; `ALLUVIUM_MISSING` where there is one of that name.
///
/// Threads: any.
///
/// # Safety
///
/// The handles are NULL, or are or were ones of this library; texts are NULL or end in a NUL; places are NULL or such.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_collection_create(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    name: *const c_char,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let name = text(name, "the name of the collection")?;
        in_either!(db, tx, |access| Ok(access.collections().create(CollectionSpec::new(name))?))
    })
}

/// Sets the JSON Schema that documents of a collection have to agree with from now on.
///
/// Threads: any. Errors: `ALLUVIUM_INPUT` where it is none, or does not agree with the one before as the collection asks.
///
/// # Safety
///
/// As of `alluvium_collection_create`; there are so many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_collection_set_schema(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    name: *const c_char,
    schema: *const c_char,
    size: usize,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let (name, schema) = (text(name, "the name of the collection")?, json(schema, size, "the schema")?);
        in_either!(db, tx, |access| Ok(access.collections().set_schema(name, &schema).map(drop)?))
    })
}

/// Drops a collection with all its documents.
///
/// Threads: any.
///
/// # Safety
///
/// As of `alluvium_collection_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_collection_drop(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    name: *const c_char,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let name = text(name, "the name of the collection")?;
        in_either!(db, tx, |access| Ok(access.collections().drop(name)?))
    })
}

/// The names of all collections.
///
/// Ownership: `*names` is the caller's. Threads: any.
///
/// # Safety
///
/// As of `alluvium_collection_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_collections(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    names: *mut *mut alluvium_strings,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        needs(names, "the names")?;
        let found = in_either!(db, tx, |access| Ok(access.collections().list()?))?;
        give(names, new_strings(found.into_iter().map(|spec| spec.name)), "the names")
    })
}

/// A document, as JSON: `ALLUVIUM_NONE` where there is none. `*revision`, which may be NULL, changes with every write.
///
/// Ownership: `*json` is the caller's, to be freed with `alluvium_bytes_free`. Threads: any.
///
/// # Safety
///
/// As of `alluvium_collection_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_document_get(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    collection: *const c_char,
    id: *const c_char,
    json: *mut *mut alluvium_bytes,
    revision: *mut u64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    call(|| unsafe {
        needs(json, "the document")?;
        let (collection, id) = (text(collection, "the name of the collection")?, text(id, "the id")?);
        let found = in_either!(db, tx, |access| Ok(access.collection(collection).get(id)?))?;
        let Some(document) = found else { return Ok(ALLUVIUM_NONE) };
        may_give(revision, document.revision);
        give(json, new_bytes(document.content.to_string()), "the document")?;
        Ok(ALLUVIUM_OK)
    })
}

/// Puts a document, `size` bytes of JSON, in the place of any there; durable when it returns, or with its transaction. `ttl_ms`, `if_revision` and
/// `*revision` are as of `alluvium_kv_put`.
///
/// Threads: any. Errors: `ALLUVIUM_STALE`; `ALLUVIUM_INPUT` where the schema of the collection, an index or a reference does not allow it.
///
/// # Safety
///
/// As of `alluvium_collection_create`; there are so many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_document_put(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    collection: *const c_char,
    id: *const c_char,
    json: *const c_char,
    size: usize,
    ttl_ms: i64,
    if_revision: u64,
    revision: *mut u64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let (collection, id) = (text(collection, "the name of the collection")?, text(id, "the id")?);
        let content = self::json(json, size, "the document")?;
        let mut how = PutDocument::default().only_if(given(if_revision));
        if ttl_ms >= 0 {
            how = how.time_to_live(millis(ttl_ms));
        }
        let put = in_either!(db, tx, |access| Ok(access.collection(collection).put(id, &content, how)?))?;
        may_give(revision, put);
        Ok(())
    })
}

/// Changes what a JSON merge patch (RFC 7396) says in a document. `if_revision` and `*revision` are as of `alluvium_kv_put`.
///
/// Threads: any. Errors: `ALLUVIUM_MISSING`, `ALLUVIUM_STALE`, `ALLUVIUM_INPUT`.
///
/// # Safety
///
/// As of `alluvium_document_put`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_document_merge(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    collection: *const c_char,
    id: *const c_char,
    patch: *const c_char,
    size: usize,
    if_revision: u64,
    revision: *mut u64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        let (collection, id) = (text(collection, "the name of the collection")?, text(id, "the id")?);
        let patch = json(patch, size, "the patch")?;
        let condition = given(if_revision);
        let put = in_either!(db, tx, |access| Ok(access.collection(collection).merge(id, &patch, condition)?))?;
        may_give(revision, put);
        Ok(())
    })
}

/// Deletes a document: `ALLUVIUM_NONE` where there was none.
///
/// Threads: any. Errors: `ALLUVIUM_STALE`; `ALLUVIUM_INPUT` where another refers to it.
///
/// # Safety
///
/// As of `alluvium_collection_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_document_delete(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    collection: *const c_char,
    id: *const c_char,
    if_revision: u64,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    call(|| unsafe {
        let (collection, id) = (text(collection, "the name of the collection")?, text(id, "the id")?);
        let condition = given(if_revision);
        let was_there = in_either!(db, tx, |access| Ok(access.collection(collection).delete(id, condition)?))?;
        Ok(if was_there { ALLUVIUM_OK } else { ALLUVIUM_NONE })
    })
}

/// Documents that a condition, a text of JSON, holds for, a page at a time: `{"room": "cellar", "size": {"gt": 3, "le": 9}}`; NULL finds all. A field has a
/// value, or one that is "gt", "ge", "lt", "le", "eq", "ne", "in" a list, "begins" with a text, or "exists"; "and", "or" and "not" take conditions. At
/// most `limit` of them, 0 for as many as a page has; `after` is what `alluvium_documents_next` of the page before says, or NULL.
///
/// Ownership: `*documents` is the caller's, to be freed with `alluvium_documents_free`. Threads: any.
///
/// # Safety
///
/// As of `alluvium_collection_create`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_document_find(
    db: *const alluvium_db,
    tx: *mut alluvium_tx,
    collection: *const c_char,
    condition: *const c_char,
    limit: usize,
    after: *const c_char,
    documents: *mut *mut alluvium_documents,
) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe {
        needs(documents, "the documents")?;
        let collection = text(collection, "the name of the collection")?;
        let mut query = DocumentQuery::new();
        if let Some(text) = maybe_text(condition, "the condition")? {
            query = query.filter(self::condition(&json(text.as_ptr().cast(), text.len(), "the condition")?)?);
        }
        if limit > 0 {
            query = query.limit(limit);
        }
        if let Some(after) = maybe_text(after, "what to go on behind")? {
            query = query.after(after);
        }
        let page = in_either!(db, tx, |access| Ok(access.collection(collection).query(&query)?))?;
        let found = Found { documents: page.documents.into_iter().map(Listed::new).collect(), next: page.cursor.map(ended) };
        give(documents, make(found), "the documents")
    })
}

/// How many documents a page has; 0 for what is no such handle.
///
/// Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_documents_count(documents: *const alluvium_documents) -> usize {
    let mut count = 0;
    // SAFETY: as the caller promises.
    done(|| unsafe { read(documents, |found| Ok(count = found.documents.len())) });
    count
}

/// The document at a position from 0 on: `ALLUVIUM_NONE` where there is none. Places may be NULL.
///
/// Ownership: id and JSON, which end in a NUL, are the handle's, until it is freed. Threads: any.
///
/// # Safety
///
/// The handle is NULL, or is or was one of this library; places are NULL or such.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_documents_get(
    documents: *const alluvium_documents,
    position: usize,
    id: *mut *const c_char,
    json: *mut *const c_char,
    revision: *mut u64,
) -> alluvium_status {
    let look = |found: &Found| -> Outcome<alluvium_status> {
        let Some(document) = found.documents.get(position) else { return Ok(ALLUVIUM_NONE) };
        // SAFETY: as the caller promises.
        unsafe {
            may_give(id, document.id.as_ptr().cast());
            may_give(json, document.json.as_ptr().cast());
            may_give(revision, document.revision);
        }
        Ok(ALLUVIUM_OK)
    };
    // SAFETY: as the caller promises.
    call(|| unsafe { read(documents, look) })
}

/// What the next page is found `after`; NULL on the last.
///
/// Ownership: the handle's, until it is freed. Threads: any.
///
/// # Safety
///
/// As of `alluvium_documents_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_documents_next(documents: *const alluvium_documents) -> *const c_char {
    let mut next = std::ptr::null();
    let look = |found: &Found| {
        next = found.next.as_ref().map_or(std::ptr::null(), |next| next.as_ptr().cast());
        Ok(())
    };
    // SAFETY: as the caller promises.
    done(|| unsafe { read(documents, look) });
    next
}

/// Frees a page. NULL is none.
///
/// # Safety
///
/// As of `alluvium_documents_count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn alluvium_documents_free(documents: *mut alluvium_documents) -> alluvium_status {
    // SAFETY: as the caller promises.
    done(|| unsafe { take(documents) }.map(drop))
}
