//! What a store holds, and what was done to it that should not have been.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use md5::{Digest, Md5};
use object_store::{Error, Result};

/// In which ways stores differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Whether a name can be created only once.
    pub creates_only_once: bool,
    /// Whether ETags say what the content is, as those of S3 do.
    pub marks_content: bool,
}

/// An object.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its ETag.
    pub mark: String,
    /// Whether a fault made it what it is.
    pub is_altered: bool,
}

#[derive(Debug, Default)]
struct Upload {
    path: String,
    parts: BTreeMap<usize, (String, Bytes)>,
    is_altered: bool,
}

/// What a store holds.
#[derive(Debug)]
pub struct Bucket {
    kind: Kind,
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, Upload>,
    /// How often objects were answered with other bytes.
    misread: BTreeMap<String, u32>,
    /// Marks and names of uploads so far.
    made: u64,
    /// What nobody may do to objects, and was done.
    pub outrages: Vec<String>,
}

/// The objects by which it is found out what a store does.
fn is_probe(path: &str) -> bool {
    path.starts_with(".alluvium-probe-")
}

/// Makes others of bytes.
fn altered(bytes: &Bytes, choice: u64) -> Bytes {
    let mut other = BytesMut::from(&bytes[..]);
    match (usize::try_from(choice >> 8).unwrap_or(0), bytes.len()) {
        (_, 0) => other.extend_from_slice(b"?"),
        (_, len) if choice.is_multiple_of(3) => other.truncate(len / 2),
        (at, len) if choice % 3 == 1 => other[at % len] ^= 1 << (choice % 8),
        (_, len) => other[len / 2..].fill(0),
    }
    if other == bytes {
        other.extend_from_slice(b"?");
    }
    other.freeze()
}

impl Bucket {
    /// An empty one.
    pub fn new(kind: Kind) -> Self {
        Bucket {
            kind,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            misread: BTreeMap::new(),
            made: 0,
            outrages: Vec::new(),
        }
    }

    /// Everything it holds.
    pub fn objects(&self) -> impl Iterator<Item = (&String, &Object)> {
        self.objects.iter()
    }

    /// Uploads that came to no end.
    pub fn uploads(&self) -> usize {
        self.uploads.len()
    }

    fn mark(&mut self, bytes: &Bytes) -> String {
        self.made += 1;
        if !self.kind.marks_content {
            return format!("\"{}\"", self.made);
        }
        let digits: String = Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("\"{digits}\"")
    }

    fn store(&mut self, path: &str, bytes: Bytes, is_altered: bool) -> String {
        if let Some(before) = self.objects.get(path) {
            let allowed = before.bytes == bytes || before.is_altered || is_altered || is_probe(path);
            if !allowed {
                self.outrages.push(format!("{path:?} was written over with other bytes"));
            }
        }
        let mark = self.mark(&bytes);
        self.objects.insert(path.to_owned(), Object { bytes, mark: mark.clone(), is_altered });
        mark
    }

    /// Puts an object if there is none of its name, where the store knows how to do that. Answers its ETag, as what follows.
    pub fn create(&mut self, path: &str, bytes: &Bytes, wrong: Option<u64>) -> Result<String> {
        if self.kind.creates_only_once && self.objects.contains_key(path) {
            return Err(Error::AlreadyExists { path: path.to_owned(), source: "it is there".into() });
        }
        self.put(path, bytes, wrong)
    }

    /// Puts an object.
    pub fn put(&mut self, path: &str, bytes: &Bytes, wrong: Option<u64>) -> Result<String> {
        let stored = wrong.map_or_else(|| bytes.clone(), |choice| altered(bytes, choice));
        Ok(self.store(path, stored, wrong.is_some()))
    }

    /// An object.
    pub fn get(&self, path: &str) -> Result<Object> {
        let found = self.objects.get(path).cloned();
        found.ok_or_else(|| Error::NotFound { path: path.to_owned(), source: "it is not there".into() })
    }

    /// An object as it is answered with other bytes.
    pub fn get_altered(&mut self, path: &str, choice: u64) -> Result<Object> {
        let object = self.get(path)?;
        *self.misread.entry(path.to_owned()).or_default() += 1;
        Ok(Object { bytes: altered(&object.bytes, choice), ..object })
    }

    /// Removes an object. That it is gone is no error to S3. Who put it may, where it came back as another twice: it is put again later.
    pub fn delete(&mut self, path: &str) -> Result<()> {
        let is_misread = self.misread.get(path).is_some_and(|times| *times >= 2);
        let allowed = is_misread || is_probe(path) || self.objects.get(path).is_none_or(|object| object.is_altered);
        if !allowed {
            self.outrages.push(format!("{path:?} was removed"));
        }
        self.objects.remove(path);
        Ok(())
    }

    /// Begins an upload.
    pub fn begin(&mut self, path: &str) -> String {
        self.made += 1;
        let id = format!("upload-{}", self.made);
        self.uploads.insert(id.clone(), Upload { path: path.to_owned(), ..Upload::default() });
        id
    }

    fn upload(&mut self, path: &str, id: &str) -> Result<&mut Upload> {
        let found = self.uploads.get_mut(id).filter(|upload| upload.path == path);
        found.ok_or_else(|| Error::NotFound { path: path.to_owned(), source: format!("there is no upload {id:?}").into() })
    }

    /// Puts a part.
    pub fn part(&mut self, path: &str, id: &str, number: usize, bytes: &Bytes, wrong: Option<u64>) -> Result<String> {
        self.upload(path, id)?;
        let stored = wrong.map_or_else(|| bytes.clone(), |choice| altered(bytes, choice));
        let mark = self.mark(&stored);
        let upload = self.upload(path, id)?;
        upload.is_altered |= wrong.is_some();
        upload.parts.insert(number, (mark.clone(), stored));
        Ok(mark)
    }

    /// Makes an object of parts.
    pub fn complete(&mut self, path: &str, id: &str, parts: &[String], wrong: Option<u64>) -> Result<String> {
        let upload = self.upload(path, id)?;
        let mut whole = BytesMut::new();
        for (number, part) in parts.iter().enumerate() {
            let known = upload.parts.get(&number).filter(|(mark, _)| mark == part);
            let (_, bytes) = known.ok_or_else(|| Error::NotFound {
                path: path.to_owned(),
                source: format!("there is no part {part} of {id:?}").into(),
            })?;
            whole.extend_from_slice(bytes);
        }
        let is_altered = upload.is_altered;
        self.uploads.remove(id);
        let whole = whole.freeze();
        let stored = wrong.map_or_else(|| whole.clone(), |choice| altered(&whole, choice));
        Ok(self.store(path, stored, is_altered || wrong.is_some()))
    }

    /// Gives an upload up.
    pub fn abort(&mut self, path: &str, id: &str) -> Result<()> {
        self.upload(path, id)?;
        self.uploads.remove(id);
        Ok(())
    }
}
