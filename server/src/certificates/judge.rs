//! Who a client is, by its certificate.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{self, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::roots::Roots;
use super::{Clock, Identity, Store, Unfit, identity, provider};
use crate::failure::Outcome;

/// Judges the certificates of clients in the handshake, and says afterwards whom they name. Whether a certificate was revoked is not
/// its business: that is asked for every request.
#[derive(Debug)]
pub(crate) struct Judge {
    directory: PathBuf,
    roots: RwLock<Arc<Roots>>,
    clock: Clock,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Judge {
    /// Judges by the authorities of a store and by a clock.
    pub(crate) fn new(store: &Store, clock: Clock) -> Outcome<Judge> {
        let directory = store.directory().to_owned();
        let roots = RwLock::new(Arc::new(Roots::read(&directory)?));
        Ok(Judge { directory, roots, clock, algorithms: provider().signature_verification_algorithms })
    }

    /// Judges by the authorities that there are now. If they cannot be read, by those as before.
    pub(crate) fn reload(&self) -> Outcome {
        let roots = Roots::read(&self.directory)?;
        *self.roots.write() = Arc::new(roots);
        Ok(())
    }

    /// By which time it judges.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Whom a certificate names, with those that a client sent along, if it holds.
    pub(crate) fn identify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<Identity, Unfit> {
        let roots = self.roots.read().clone();
        let issuer = roots.judge(end_entity, intermediates, self.clock.unix()).map_err(Unfit::NotHeld)?;
        identity::of(end_entity, issuer)
    }
}

impl ClientCertVerifier for Judge {
    /// None: clients have one certificate, and the names of authorities are nobody else's business.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    /// The system's clock, of which `_now` is, may be behind.
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(self.identify(end_entity, intermediates).map(|_| ClientCertVerified::assertion())?)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
