//! The authorities by whose certificates clients are known: our own, and others.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, Error, RootCertStore};

use super::{authority, provider, trusted};
use crate::failure::{Failure, Outcome};

/// Those of one issuer.
#[derive(Debug)]
struct Root {
    /// `None` for our own.
    issuer: Option<String>,
    verifier: Arc<dyn ClientCertVerifier>,
}

/// All of them, our own first: what it certifies is ours, whoever else does.
#[derive(Debug)]
pub(super) struct Roots(Vec<Root>);

impl Roots {
    /// Reads them from their files.
    pub(super) fn read(directory: &Path) -> Outcome<Roots> {
        let own = authority::certificate(directory)?;
        let mut roots = vec![Root::new(None, vec![own], &authority::certificate_file(directory))?];
        for trusted in trusted::all(directory)? {
            let path = trusted::file(directory, &trusted.issuer);
            roots.push(Root::new(Some(trusted.issuer), trusted.certificates, &path)?);
        }
        Ok(Roots(roots))
    }

    /// Refuses certificates that cannot be an authority's.
    pub(super) fn check(certificates: Vec<CertificateDer<'static>>, path: &Path) -> Outcome {
        Root::new(None, certificates, path).map(drop)
    }

    /// The issuer by whose authority a client's certificate holds at a time; `None` for our own.
    pub(super) fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        at: UnixTime,
    ) -> Result<Option<&str>, Error> {
        // Of all refusals that one is told that knew the issuer.
        let mut refused = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        for Root { issuer, verifier } in &self.0 {
            match verifier.verify_client_cert(end_entity, intermediates, at) {
                Ok(_) => return Ok(issuer.as_deref()),
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {}
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

impl Root {
    fn new(issuer: Option<String>, certificates: Vec<CertificateDer<'static>>, path: &Path) -> Outcome<Root> {
        let unfit = |error: &dyn std::fmt::Display| {
            Failure::failed(format_args!("cannot trust the authority in {}: {error}", path.display()))
        };
        let mut store = RootCertStore::empty();
        for certificate in certificates {
            store.add(certificate).map_err(|error| unfit(&error))?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider());
        Ok(Root { issuer, verifier: builder.build().map_err(|error| unfit(&error))? })
    }
}
