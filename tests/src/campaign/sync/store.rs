//! An object store in memory, as the worker sees it: every call to it can go wrong.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::bucket::{Bucket, Kind, Object};
use super::far::{Far, Trouble};
use super::fate::Fate;
use super::fault::{Call, Part};

/// The store. Clones are the same one.
#[derive(Clone)]
pub struct Store {
    far: Far<Bucket>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated store")
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated store")
    }
}

fn failed(why: &'static str) -> Error {
    Error::Generic { store: "simulated", source: why.into() }
}

impl Trouble for Error {
    fn refused() -> Self {
        Error::PermissionDenied { path: String::new(), source: "the credentials have expired".into() }
    }

    fn unreachable() -> Self {
        failed("the wire was cut on the way there")
    }

    fn unheard() -> Self {
        failed("the wire was cut on the way back")
    }
}

impl Store {
    /// An empty store.
    pub fn new(kind: Kind, fate: Arc<Fate>) -> Self {
        Store { far: Far::new(Part::Target, Bucket::new(kind), fate, None) }
    }

    /// Looks at what it holds.
    pub fn look<T>(&self, at: impl FnOnce(&Bucket) -> T) -> T {
        self.far.look(at)
    }

    /// Says what happens while a call takes long; nothing, with none.
    pub fn meanwhile(&self, what: Option<Box<dyn Fn() + Send + Sync>>) {
        self.far.meanwhile(what);
    }

    /// Nobody waits any more for what was asked.
    pub fn give_up(&self) {
        self.far.give_up();
    }
}

fn joined(payload: PutPayload) -> Bytes {
    payload.into()
}

fn put_result(mark: String) -> PutResult {
    PutResult { e_tag: Some(mark), version: None, extensions: Default::default() }
}

/// The name of an object, as its path is written.
fn path(name: &str) -> Path {
    Path::parse(name).unwrap_or_default()
}

fn meta(name: &str, object: &Object) -> ObjectMeta {
    ObjectMeta {
        location: path(name),
        last_modified: Default::default(),
        size: object.bytes.len() as u64,
        e_tag: Some(object.mark.clone()),
        version: None,
    }
}

fn range(asked: Option<object_store::GetRange>, len: u64) -> Result<Range<u64>> {
    let Some(asked) = asked else { return Ok(0..len) };
    asked.as_range(len).map_err(|error| Error::Generic { store: "simulated", source: error.into() })
}

/// What is wrong with a listing besides objects that are not there: a listing that leaves out some would be that of a store that is no store.
fn wrong_list(listed: &mut Vec<ObjectMeta>, choice: u64) {
    listed.iter_mut().for_each(|object| object.size = choice % 7);
    let foreign = Object { bytes: Bytes::new(), mark: "\"0\"".to_owned(), is_altered: true };
    listed.insert(0, meta("gateways/of somebody", &foreign));
}

#[async_trait]
impl ObjectStore for Store {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let (key, bytes) = (location.to_string(), joined(payload));
        let create = options.mode == PutMode::Create;
        let call = if create { Call::Create } else { Call::Put };
        let name = key.clone();
        let put = move |bucket: &mut Bucket, wrong| match create {
            true => bucket.create(&name, &bytes, wrong),
            false => bucket.put(&name, &bytes, wrong),
        };
        self.far.call(call, &key, put).await.map(put_result)
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented { operation: "streams".to_owned(), implementer: self.to_string() })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let key = location.to_string();
        let call = if options.head { Call::Head } else { Call::Get };
        let name = key.clone();
        let get = move |bucket: &mut Bucket, wrong: Option<u64>| match wrong {
            Some(choice) => bucket.get_altered(&name, choice),
            None => bucket.get(&name),
        };
        let object = self.far.call(call, &key, get).await?;
        let range = range(options.range, object.bytes.len() as u64)?;
        let bytes = object.bytes.slice(range.start as usize..range.end as usize);
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::iter([Ok(bytes)]).boxed()),
            meta: meta(&key, &object),
            range,
            attributes: Default::default(),
            extensions: Default::default(),
        })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                let (key, name) = (location.to_string(), location.to_string());
                let delete = move |bucket: &mut Bucket, wrong: Option<u64>| match wrong {
                    Some(_) => Ok(()),
                    None => bucket.delete(&name),
                };
                store.far.call(Call::Delete, &key, delete).await.map(|()| location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned().unwrap_or_default());
        let key = prefix.to_string();
        let list = move |bucket: &mut Bucket, wrong: Option<u64>| {
            let below = |name: &str| path(name).prefix_match(&prefix).is_some();
            let mut listed: Vec<_> =
                bucket.objects().filter(|(name, _)| below(name)).map(|(name, object)| meta(name, object)).collect();
            if let Some(choice) = wrong {
                wrong_list(&mut listed, choice);
            }
            Ok(listed)
        };
        let listed = async move {
            match store.far.call(Call::List, &key, list).await {
                Ok(listed) => listed.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            }
        };
        listed.into_stream().flat_map(stream::iter).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(Error::NotImplemented { operation: "folders".to_owned(), implementer: self.to_string() })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotImplemented { operation: "copies".to_owned(), implementer: self.to_string() })
    }
}

#[async_trait]
impl MultipartStore for Store {
    async fn create_multipart(&self, path: &Path) -> Result<String> {
        let (key, name) = (path.to_string(), path.to_string());
        let begin = move |bucket: &mut Bucket, wrong: Option<u64>| {
            let id = bucket.begin(&name);
            Ok(if wrong.is_some() { format!("{id}0") } else { id })
        };
        self.far.call(Call::Begin, &key, begin).await
    }

    async fn put_part(&self, path: &Path, id: &String, number: usize, data: PutPayload) -> Result<PartId> {
        let (key, name, id, bytes) = (path.to_string(), path.to_string(), id.clone(), joined(data));
        let put = move |bucket: &mut Bucket, wrong| bucket.part(&name, &id, number, &bytes, wrong);
        self.far.call(Call::Part, &format!("{key}#{number}"), put).await.map(|content_id| PartId { content_id })
    }

    async fn complete_multipart(&self, path: &Path, id: &String, parts: Vec<PartId>) -> Result<PutResult> {
        let (key, name, id) = (path.to_string(), path.to_string(), id.clone());
        let parts: Vec<_> = parts.into_iter().map(|part| part.content_id).collect();
        let complete = move |bucket: &mut Bucket, wrong| bucket.complete(&name, &id, &parts, wrong);
        self.far.call(Call::Complete, &key, complete).await.map(put_result)
    }

    async fn abort_multipart(&self, path: &Path, id: &String) -> Result<()> {
        let (key, name, id) = (path.to_string(), path.to_string(), id.clone());
        let abort = move |bucket: &mut Bucket, wrong: Option<u64>| match wrong {
            Some(_) => Ok(()),
            None => bucket.abort(&name, &id),
        };
        self.far.call(Call::Abort, &key, abort).await
    }
}
