//! How a database is opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Database;
use super::background::Background;
use super::inner::Inner;
use crate::error::{Error, Result};
use crate::format::names;
use crate::io::{Components, DirectoryLock, Disk, MeteredDisk, SyncLabel, WriteMeter};
use crate::recover::{self, Ballast};
use crate::settings::Settings;

/// Settings, which are plain data, and components, which are objects.
#[derive(Debug, Default)]
pub struct Builder {
    settings: Settings,
    components: Option<Components>,
    existing_only: bool,
}

impl Builder {
    /// Replaces the default settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Replaces disk, clock and entropy, as tests do.
    #[must_use]
    pub fn components(mut self, components: Components) -> Self {
        self.components = Some(components);
        self
    }

    /// Refuses to make a database where there is none.
    #[must_use]
    pub fn existing_only(mut self) -> Self {
        self.existing_only = true;
        self
    }

    /// Opens the database in a directory.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Database> {
        let root: PathBuf = path.as_ref().to_owned();
        self.settings.check()?;
        let mut components = self.components.unwrap_or_else(Components::os);
        let meter = Arc::new(WriteMeter::default());
        components.disk = Arc::new(MeteredDisk::new(components.disk, meter.clone()));
        prepare_directory(&components, &root, self.existing_only)?;
        let lock = lock(&components, &root)?;
        let ballast = Ballast::new(components.disk.clone(), &root, self.settings.ballast_bytes);
        let recovered = ballast.lend(|| recover::open(&components, &root, &self.settings))?;
        let inner = Arc::new(Inner::new(components, self.settings, root, meter, ballast, lock, recovered)?);
        if inner.settings.background {
            Background::start(&inner)?;
            // Opening may have left it much to do.
            inner.nudge(Background::nudge_applying);
        }
        Ok(Database { inner })
    }
}

/// Makes a directory and those above it. Its own name is synced with its identity; those of the others are here, or a power cut would take
/// them with all that is below.
fn make_directory(disk: &dyn Disk, root: &Path) -> Result<()> {
    let is_missing = |dir: &&Path| disk.list(dir).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    let missing: Vec<_> = root.ancestors().skip(1).take_while(is_missing).collect();
    disk.create_dir_all(root).map_err(|source| Error::io("create", root, source))?;
    let above = missing.into_iter().filter_map(Path::parent).filter(|dir| dir.components().next().is_some());
    let sync = |dir: &Path| disk.sync_dir(dir, SyncLabel::Identity).map_err(|source| Error::io("sync", dir, source));
    above.into_iter().try_for_each(sync)
}

fn prepare_directory(components: &Components, root: &Path, existing_only: bool) -> Result<()> {
    match components.disk.list(root) {
        Ok(entries) if existing_only && !entries.iter().any(|entry| entry.name == names::IDENTITY) => {
            Err(Error::NotADatabase { path: root.to_owned(), reason: "it has no identity file".to_owned() })
        }
        Ok(_) => Ok(()),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound && !existing_only => make_directory(&*components.disk, root),
        Err(source) if source.kind() == std::io::ErrorKind::NotADirectory => {
            Err(Error::NotADatabase { path: root.to_owned(), reason: "it is a file".to_owned() })
        }
        Err(source) => Err(Error::io("open", root, source)),
    }
}

fn lock(components: &Components, root: &Path) -> Result<Box<dyn DirectoryLock>> {
    let path = root.join(names::LOCK);
    let note = format!("process {}", std::process::id());
    components.disk.lock(&path, &note).map_err(|source| match source.kind() {
        std::io::ErrorKind::WouldBlock => {
            let holder = source.to_string();
            let known = holder.starts_with("process ");
            Error::Locked { path: root.to_owned(), holder: if known { holder } else { "another process".to_owned() } }
        }
        _ => Error::io("lock", &path, source),
    })
}
