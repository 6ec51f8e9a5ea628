//! A store, opened.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::aws::Checksum;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::connect::{self, Environment};
use super::exchange::{self, observed};
use super::folder;
use super::location::{self, Location};
use super::parts::Sizes;
use super::settings::{NotASetting, Settings};
use super::summed::Summed;
use super::throttle::{Admitted, Throttle};
use super::trouble::{Kind, Trouble};

/// A store and the prefix in it below which our objects are. Cheap to clone; clones share connections and the throttle.
///
/// Nothing is asked of the store by opening it, so that a gateway starts without a link. What is opened anew has connections of its own.
#[derive(Clone)]
pub struct Target {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    /// What it was opened with; none of a target in memory.
    settings: Option<Settings>,
    /// The URL, as it may be shown.
    url: String,
    pub(super) store: Arc<dyn ObjectStore>,
    /// The same where uploads in parts survive a restart.
    pub(super) parts: Option<Arc<dyn MultipartStore>>,
    /// Of a target in a folder: where it is.
    pub(super) folder: Option<PathBuf>,
    /// What of it is known to stay.
    kept: Arc<folder::Kept>,
    /// Whether the way there is ours to slow down; connections do that themselves.
    slowed_here: bool,
    prefix: Path,
    pub(super) throttle: Arc<Throttle>,
    pub(super) sizes: Sizes,
    /// The same for who asks for sums, which only S3 knows.
    pub(super) summed: Option<Summed>,
    /// Whether it may say of an object's content what it got.
    pub(super) may_tell: bool,
}

impl Target {
    /// Opens a target, with credentials from the environment where the settings name no file of them, and makes a folder that is not there.
    ///
    /// # Errors
    ///
    /// [`NotASetting`] where the settings, or the files they name, are not what they have to be.
    pub fn open(settings: &Settings) -> Result<Self, NotASetting> {
        let throttle = Throttle::new(settings.bytes_per_second, settings.bytes_per_day);
        Target::open_with(settings, Arc::new(throttle))
    }

    /// The same with a throttle of the caller's, in place of the one that the settings ask for.
    ///
    /// # Errors
    ///
    /// As [`Target::open`].
    pub fn open_with(settings: &Settings, throttle: Arc<Throttle>) -> Result<Self, NotASetting> {
        // A variable that is there and empty is how containers say that it is not.
        Target::open_in(settings, throttle, &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// The same in another environment.
    pub(super) fn open_in(
        settings: &Settings,
        throttle: Arc<Throttle>,
        environment: Environment<'_>,
    ) -> Result<Self, NotASetting> {
        settings.check()?;
        let shared = match Location::of(settings)? {
            Location::Folder(path) => Shared::in_folder(settings, path, throttle)?,
            Location::S3 { bucket, prefix } => {
                let builder = connect::s3(settings, &bucket, &throttle, environment)?;
                let store = Arc::new(connect::s3_client(settings, builder.clone())?);
                // Its sum is signed: to sign the body as well would make the store sum it up twice.
                let builder = builder.with_checksum_algorithm(Checksum::SHA256).with_unsigned_payload(true);
                let summed = connect::s3_client(settings, builder)?;
                let shared = Shared::over_http(settings, Arc::clone(&store) as _, store, prefix, throttle);
                Shared { summed: Some(Summed::new(Arc::new(summed))), ..shared }
            }
            Location::Azure { container, account, prefix } => {
                let store = Arc::new(connect::azure(settings, &container, account.as_deref(), &throttle, environment)?);
                Shared::over_http(settings, Arc::clone(&store) as _, store, prefix, throttle)
            }
        };
        Ok(Target { shared: Arc::new(shared) })
    }

    /// A target in memory, for tests: it ends with its last clone.
    pub fn in_memory(throttle: Throttle) -> Self {
        let store = Arc::new(InMemory::new());
        let settings = Settings::new("memory:///");
        let shared = Shared::over_http(&settings, Arc::clone(&store) as _, store, Path::default(), Arc::new(throttle));
        Target { shared: Arc::new(Shared { settings: None, slowed_here: true, may_tell: false, ..shared }) }
    }

    /// A target in a store of the caller's, which marks its objects by ETags as all do, known by a URL that is shown and not used.
    pub fn in_store(
        url: &str,
        store: Arc<dyn ObjectStore>,
        parts: Arc<dyn MultipartStore>,
        sizes: Sizes,
        throttle: Throttle,
    ) -> Self {
        let shared = Shared::over_http(&Settings::new(url), store, parts, Path::default(), Arc::new(throttle));
        Target { shared: Arc::new(Shared { settings: None, slowed_here: true, sizes, ..shared }) }
    }

    /// The same with connections of its own, so that what it answers is not what somebody on the way remembers. One in memory has none to
    /// make anew.
    ///
    /// # Errors
    ///
    /// As [`Target::open`].
    pub fn afresh(&self) -> Result<Self, NotASetting> {
        match &self.shared.settings {
            Some(settings) => Target::open_with(settings, self.shared.throttle.clone()),
            None => Ok(self.clone()),
        }
    }

    /// How fast, and how much a day, may be sent there.
    pub fn throttle(&self) -> &Throttle {
        &self.shared.throttle
    }

    /// The store and the prefix, for [`super::bucket::prove`].
    pub fn store(&self) -> (&dyn ObjectStore, &Path) {
        (&*self.shared.store, &self.shared.prefix)
    }

    /// Where an object is in the store.
    pub(super) fn path(&self, key: &str) -> Result<Path, Trouble> {
        let full = if self.shared.prefix.is_root() { key.to_owned() } else { format!("{}/{key}", self.shared.prefix) };
        let parsed = Path::parse(&full).ok().filter(|path| !key.is_empty() && path.as_ref() == full);
        parsed.ok_or_else(|| Trouble {
            kind: Kind::Poisoned,
            doing: format!("naming {key:?}"),
            detail: "no object can be called so".to_owned(),
        })
    }

    /// The name of an object below the prefix.
    pub(super) fn key(&self, path: &Path) -> Option<String> {
        let parts: Vec<_> = path.prefix_match(&self.shared.prefix)?.map(|part| part.as_ref().to_owned()).collect();
        Some(parts.join("/"))
    }

    /// Removes an object. That it is not there is no trouble.
    ///
    /// # Errors
    ///
    /// [`Trouble`] of the store.
    pub async fn delete(&self, key: &str) -> Result<(), Trouble> {
        let path = self.path(key)?;
        let (deleted, exchange) = observed(self.shared.store.delete(&path)).await;
        match deleted {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Trouble::of(format!("deleting {key:?}"), &error, &exchange)),
        }
    }

    /// Removes what puts below a prefix, ended by nothing but a power cut, have left in a folder. Nobody else may be putting anything there. Other stores
    /// leave nothing that is seen.
    ///
    /// # Errors
    ///
    /// [`Trouble`] of this machine.
    pub async fn clean(&self, prefix: &str) -> Result<(), Trouble> {
        let Some(root) = self.shared.folder.clone() else { return Ok(()) };
        let folder = root.join(prefix);
        let cleaned = tokio::task::spawn_blocking(move || folder::clean(&folder)).await;
        let cleaned = cleaned.unwrap_or_else(|stopped| Err(std::io::Error::other(stopped)));
        cleaned.map_err(|error| Trouble::local(format!("cleaning {prefix:?}"), &error))
    }

    /// Removes what puts of an object into a folder have left there that came to no end.
    pub(super) fn sweep(&self, path: &Path) {
        if let Some(root) = &self.shared.folder {
            folder::sweep(root, path.as_ref());
        }
    }

    /// Makes what a folder holds of an object survive a power cut. Other stores do that before they answer.
    pub(super) async fn settle(&self, key: &str) -> Result<(), Trouble> {
        let Some(root) = self.shared.folder.clone() else { return Ok(()) };
        let name = key.to_owned();
        let settled = tokio::task::spawn_blocking(move || folder::settle(&root, &name)).await;
        let settled = settled.unwrap_or_else(|stopped| Err(std::io::Error::other(stopped)));
        settled.map_err(|error| Trouble::local(format!("syncing {key:?}"), &error))
    }

    /// The same of an object that was put just now, and is synced for itself.
    pub(super) async fn keep(&self, key: &str) -> Result<(), Trouble> {
        let Some(root) = self.shared.folder.clone() else { return Ok(()) };
        let (name, kept) = (key.to_owned(), Arc::clone(&self.shared.kept));
        let done = tokio::task::spawn_blocking(move || kept.keep(&root, &name)).await;
        let done = done.unwrap_or_else(|stopped| Err(std::io::Error::other(stopped)));
        done.map_err(|error| Trouble::local(format!("syncing the folder of {key:?}"), &error))
    }

    /// Lets so many bytes go, where no connection counts and slows them.
    pub(super) async fn pass(&self, bytes: usize, doing: &str) -> Result<(), Trouble> {
        if self.shared.slowed_here {
            let mut admitted = self.admit(bytes as u64, doing)?;
            self.go(bytes, &mut admitted).await;
        }
        Ok(())
    }

    /// Takes an object from today's budget.
    pub(super) fn admit(&self, bytes: u64, doing: &str) -> Result<Admitted, Trouble> {
        self.shared.throttle.admit(bytes, false).map_err(|until| Trouble {
            kind: Kind::Spent { until },
            doing: doing.to_owned(),
            detail: format!("the bytes that may be sent today are spent until {until}"),
        })
    }

    /// Lets so many bytes of it go.
    pub(super) async fn go(&self, bytes: usize, admitted: &mut Admitted) {
        self.shared.throttle.pass(bytes).await;
        admitted.passed(bytes as u64);
        exchange::current().lock().sent += bytes as u64;
    }

    /// Counts bytes that were read, where no connection does.
    pub(super) fn was_read(&self, bytes: usize) {
        if self.shared.slowed_here {
            exchange::current().lock().received += bytes as u64;
        }
    }
}

impl Shared {
    fn over_http(
        settings: &Settings,
        store: Arc<dyn ObjectStore>,
        parts: Arc<dyn MultipartStore>,
        prefix: Path,
        throttle: Arc<Throttle>,
    ) -> Self {
        let url = location::without_secrets(&settings.url);
        let (settings, kept, sizes) = (Some(settings.clone()), Arc::default(), Sizes::default());
        Shared {
            settings,
            url,
            store,
            parts: Some(parts),
            folder: None,
            kept,
            slowed_here: false,
            prefix,
            throttle,
            sizes,
            summed: None,
            may_tell: true,
        }
    }

    fn in_folder(settings: &Settings, path: PathBuf, throttle: Arc<Throttle>) -> Result<Self, NotASetting> {
        let others = [
            ("endpoint", settings.endpoint.is_some()),
            ("region", settings.region.is_some()),
            ("account", settings.account.is_some()),
            ("credentials_file", settings.credentials_file.is_some()),
            ("root_certificates", settings.root_certificates.is_some()),
            ("emulator", settings.emulator),
            ("virtual_hosted", settings.virtual_hosted),
        ];
        connect::refuse(settings, &others, "a folder has none")?;
        let advice = "give a folder that can be made and written to";
        let made = folder::make(&path).and_then(|()| path.canonicalize());
        let root = made.map_err(|error| settings.wrong("url", error.to_string(), advice))?;
        let store = LocalFileSystem::new_with_prefix(&root).map_err(|error| settings.wrong("url", error.to_string(), advice))?;
        Ok(Shared {
            settings: Some(settings.clone()),
            url: settings.url.clone(),
            store: Arc::new(store.with_fsync(true)),
            parts: None,
            folder: Some(root),
            kept: Arc::default(),
            slowed_here: true,
            prefix: Path::default(),
            throttle,
            sizes: Sizes::default(),
            summed: None,
            may_tell: false,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shared.url)
    }
}

/// Shows no more than the URL: clients of stores may hold secrets.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.shared.url).finish()
    }
}
