//! An object store in memory, as the worker sees it: every call to it can go wrong.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
use super::fate::Fate;
use super::fault::{Call, Fault};
use crate::sim::locked;

/// How long what is slow takes.
const SLOW: Duration = Duration::from_secs(2 * 3_600);

/// How many calls later what was given up is done at last, if not at once.
const LATER: u64 = 2;

/// Something that is done later than it was asked for.
struct Late {
    effect: Box<dyn FnOnce(&mut Bucket) + Send>,
    /// Whether it takes longer than whoever asked has patience.
    is_stray: bool,
    /// How many calls there are before it, once he has given up.
    due: Option<u64>,
}

/// What a gateway does while it waits.
type Meanwhile = Box<dyn Fn() + Send + Sync>;

/// The store. Clones are the same one.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    bucket: Mutex<Bucket>,
    fate: Arc<Fate>,
    late: Mutex<Vec<Late>>,
    meanwhile: Mutex<Option<Meanwhile>>,
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

/// A clear answer: nothing was done.
fn refused() -> Error {
    Error::PermissionDenied { path: String::new(), source: "the credentials have expired".into() }
}

impl Store {
    /// An empty store.
    pub fn new(kind: Kind, fate: Arc<Fate>) -> Self {
        let bucket = Mutex::new(Bucket::new(kind));
        Store { shared: Arc::new(Shared { bucket, fate, late: Mutex::default(), meanwhile: Mutex::default() }) }
    }

    /// Looks at what it holds.
    pub fn look<T>(&self, at: impl FnOnce(&Bucket) -> T) -> T {
        at(&locked(&self.shared.bucket))
    }

    /// Says what happens while a call takes long; nothing, with none.
    pub fn meanwhile(&self, what: Option<Meanwhile>) {
        *locked(&self.shared.meanwhile) = what;
    }

    /// Nobody waits any more for what was asked. It is done now, or some calls later.
    pub fn give_up(&self) {
        let calls = self.shared.fate.calls();
        for late in locked(&self.shared.late).iter_mut() {
            late.due.get_or_insert(if late.is_stray { calls + LATER } else { calls });
        }
        self.arrive_late(calls);
    }

    /// Does what is due after so many calls.
    fn arrive_late(&self, calls: u64) {
        let mut waiting = locked(&self.shared.late);
        let due: Vec<_> = waiting.extract_if(.., |late| late.due.is_some_and(|due| due <= calls)).collect();
        due.into_iter().for_each(|late| (late.effect)(&mut locked(&self.shared.bucket)));
    }

    /// A call, however it fares. `effect` is told by which number bytes are to be altered, if they are.
    async fn call<T, E>(&self, call: Call, key: &str, effect: E) -> Result<T>
    where
        T: Send + 'static,
        E: Fn(&mut Bucket, Option<u64>) -> Result<T> + Send + 'static,
    {
        let fate = &self.shared.fate;
        fate.travel(call, key).await;
        let fault = fate.arrive(call, key).await;
        self.arrive_late(fate.calls());
        let done = self.strike(fault, effect).await;
        fate.travel(call, key).await;
        done
    }

    async fn strike<T, E>(&self, fault: Option<Fault>, effect: E) -> Result<T>
    where
        T: Send + 'static,
        E: Fn(&mut Bucket, Option<u64>) -> Result<T> + Send + 'static,
    {
        let (fate, choice) = (&self.shared.fate, self.shared.fate.choice());
        let perform = |wrong| effect(&mut locked(&self.shared.bucket), wrong);
        match fault {
            None => perform(None),
            Some(Fault::Error) if choice.is_multiple_of(4) => Err(refused()),
            Some(Fault::Error) => Err(failed("the wire was cut on the way there")),
            Some(Fault::Lost) => {
                drop(perform(None));
                Err(failed("the wire was cut on the way back"))
            }
            Some(Fault::TimeOut) => {
                if !choice.is_multiple_of(3) {
                    let is_stray = choice % 3 == 1;
                    let effect = Box::new(move |bucket: &mut Bucket| drop(effect(bucket, None)));
                    locked(&self.shared.late).push(Late { effect, is_stray, due: None });
                }
                fate.hung.notify_one();
                std::future::pending().await
            }
            Some(Fault::Duplicate) => {
                drop(perform(None));
                perform(None)
            }
            Some(Fault::Wrong) => perform(Some(choice)),
            Some(Fault::Slow) => {
                tokio::time::sleep(SLOW).await;
                if let Some(meanwhile) = &*locked(&self.shared.meanwhile) {
                    meanwhile();
                }
                perform(None)
            }
            Some(Fault::Cut) => {
                fate.cut_power();
                std::future::pending().await
            }
            Some(Fault::CutAfter) => {
                drop(perform(None));
                fate.cut_power();
                std::future::pending().await
            }
        }
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
        self.call(call, &key, put).await.map(put_result)
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
        let object = self.call(call, &key, get).await?;
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
                store.call(Call::Delete, &key, delete).await.map(|()| location)
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
            match store.call(Call::List, &key, list).await {
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
        self.call(Call::Begin, &key, begin).await
    }

    async fn put_part(&self, path: &Path, id: &String, number: usize, data: PutPayload) -> Result<PartId> {
        let (key, name, id, bytes) = (path.to_string(), path.to_string(), id.clone(), joined(data));
        let put = move |bucket: &mut Bucket, wrong| bucket.part(&name, &id, number, &bytes, wrong);
        self.call(Call::Part, &format!("{key}#{number}"), put).await.map(|content_id| PartId { content_id })
    }

    async fn complete_multipart(&self, path: &Path, id: &String, parts: Vec<PartId>) -> Result<PutResult> {
        let (key, name, id) = (path.to_string(), path.to_string(), id.clone());
        let parts: Vec<_> = parts.into_iter().map(|part| part.content_id).collect();
        let complete = move |bucket: &mut Bucket, wrong| bucket.complete(&name, &id, &parts, wrong);
        self.call(Call::Complete, &key, complete).await.map(put_result)
    }

    async fn abort_multipart(&self, path: &Path, id: &String) -> Result<()> {
        let (key, name, id) = (path.to_string(), path.to_string(), id.clone());
        let abort = move |bucket: &mut Bucket, wrong: Option<u64>| match wrong {
            Some(_) => Ok(()),
            None => bucket.abort(&name, &id),
        };
        self.call(Call::Abort, &key, abort).await
    }
}
