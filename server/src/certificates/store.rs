//! The directory of certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};

use super::authority::{self, Authority};
use super::files::{self, Kept};
use super::roots::Roots;
use super::served::{self, Served};
use super::{Clock, Judge, gateway, trusted};
use crate::failure::{Failure, Outcome};

/// Where certificates are in the database directory.
const DIRECTORY: &str = "certificates";

/// The certificates of a gateway.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
    served: Arc<Served>,
}

impl Store {
    /// Opens those that are there.
    pub(crate) fn open(data: &Path) -> Outcome<Store> {
        let directory = data.join(DIRECTORY);
        authority::certificate(&directory)?;
        let served = Arc::new(Served::open(&directory)?);
        Ok(Store { directory, served })
    }

    /// Opens those that are there, if any are.
    pub(crate) fn find(data: &Path) -> Outcome<Option<Store>> {
        if gateway::certificate_file(&data.join(DIRECTORY)).exists() { Store::open(data).map(Some) } else { Ok(None) }
    }

    /// Opens them, and makes what is missing: an authority at the first time, and a certificate of the server where there is none,
    /// it ends before long, or `gateway` is another id than its own. Without one, the id stays as it is, and is at first the host's
    /// name. The database has to be there, and open, so that nobody else does the same.
    pub(crate) fn open_or_make(data: &Path, gateway: Option<&str>, clock: &Clock) -> Outcome<Store> {
        let directory = data.join(DIRECTORY);
        let chosen = gateway.map(gateway::check_id).transpose()?;
        files::make_directory(&directory)?;
        make_authority(&directory)?;
        let authority = Authority::open(&directory)?;
        let present = gateway::open(&directory)?;
        let present = || present.as_ref().and_then(|present| present.cert.first().and_then(gateway::id_of));
        let id = chosen.or_else(present).unwrap_or_else(gateway::default_id);
        gateway::renew(&directory, authority.as_ref(), &id, clock)?;
        Store::open(data)
    }

    /// The gateway's id: the name by which clients know its server.
    pub(crate) fn gateway(&self) -> String {
        self.served.gateway().unwrap_or_default()
    }

    /// The directory itself.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Our authority, to have it certify.
    pub(crate) fn authority(&self) -> Outcome<Authority> {
        Authority::open(&self.directory)?.ok_or_else(|| {
            Failure::failed(format_args!(
                "the authority's key is kept elsewhere: put it back as {} for as long as it is to certify",
                authority::key_file(&self.directory).display()
            ))
        })
    }

    /// Our authority's certificate, in PEM: what clients trust.
    pub(crate) fn authority_pem(&self) -> Outcome<String> {
        authority::pem(&self.directory)
    }

    /// Where our authority's key is, or would be.
    pub(crate) fn authority_key(&self) -> PathBuf {
        authority::key_file(&self.directory)
    }

    /// Removes our authority's key. Answers whether it was there.
    pub(crate) fn remove_authority_key(&self) -> Outcome<bool> {
        files::remove(&self.authority_key())
    }

    /// Checks whether an authority, in PEM, could be trusted under a name, and has the certificates of that name replaced by it.
    /// `path` is where it comes from.
    pub(crate) fn check_trust(&self, issuer: &str, content: &[u8], path: &Path) -> Outcome {
        trusted::check_issuer(issuer)?;
        let certificates = trusted::parse(content, path)?;
        let known = trusted::known(&self.directory, issuer)?;
        for certificate in &certificates {
            let found = trusted::key(certificate)?;
            if let Some((whose, _)) = known.iter().find(|(_, known)| *known == found) {
                return Err(Failure::failed(format_args!(
                    "the authority in {} is {whose} already: under two names nobody could tell whose are whose",
                    path.display()
                )));
            }
        }
        Roots::check(certificates, path)
    }

    /// Trusts an authority under a name, in the place of what was trusted under it. It was checked.
    pub(crate) fn trust(&self, issuer: &str, content: &[u8]) -> Outcome {
        files::make_directory(&trusted::directory(&self.directory))?;
        files::put(&trusted::file(&self.directory, issuer), content, Kept::Open)
    }

    /// Trusts the authority of a name no more. Answers whether it did.
    pub(crate) fn distrust(&self, issuer: &str) -> Outcome<bool> {
        trusted::check_issuer(issuer)?;
        files::remove(&trusted::file(&self.directory, issuer))
    }

    /// The names under which others are trusted.
    pub(crate) fn trusted(&self) -> Outcome<Vec<String>> {
        Ok(trusted::all(&self.directory)?.into_iter().map(|trusted| trusted.issuer).collect())
    }

    /// How the server shakes hands over HTTPS.
    pub(super) fn https_config(&self) -> Outcome<ServerConfig> {
        served::https_config(self.served.clone())
    }

    /// How whoever trusts our authority, and no other, shakes hands with the server over HTTPS.
    pub(crate) fn client_config(&self) -> Outcome<ClientConfig> {
        served::client_config(authority::certificate(&self.directory)?)
    }

    /// How the server shakes hands with those whom `judge` lets in.
    pub(crate) fn server_config(&self, judge: Arc<Judge>) -> Outcome<ServerConfig> {
        served::config(self.served.clone(), judge)
    }

    /// Has every configuration show the server's certificate that is there now.
    pub(crate) fn reload(&self) -> Outcome {
        self.served.reload(&self.directory)
    }
}

/// Makes an authority where there never was one.
fn make_authority(directory: &Path) -> Outcome {
    let path = authority::certificate_file(directory);
    if files::read(&path)?.is_some() {
        return Ok(());
    }
    let used = files::read(&gateway::certificate_file(directory))?.is_some();
    if used && files::read(&authority::key_file(directory))?.is_none() {
        return Err(Failure::failed(format_args!(
            "{} is gone: bring it back, every certificate depends on it; or remove {} to begin anew, with new certificates for all",
            path.display(),
            directory.display()
        )));
    }
    Authority::make(directory)
}
