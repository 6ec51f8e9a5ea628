//! Whom a target is taken for: rustls with ring, the system's root certificates and those of the settings.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::exchange::Distrust;
use super::settings::{NotASetting, Settings};

/// How connections are secured.
pub(super) fn client(settings: &Settings) -> Result<ClientConfig, NotASetting> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let extra = extra_roots(settings)?;
    let failed = |error: rustls::Error| {
        settings.wrong("root_certificates", error.to_string(), "give a PEM file of certificates that sign others")
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(failed)?;
    let none = extra.is_empty();
    match Verifier::new_with_extra_roots(extra, provider) {
        Ok(verifier) => {
            let verifier = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
            Ok(verifier.with_no_client_auth())
        }
        // A system without any certificates: nobody is trusted, which an endpoint of http:// does not need.
        Err(_) if none => Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()),
        Err(error) => Err(failed(error)),
    }
}

fn extra_roots(settings: &Settings) -> Result<Vec<CertificateDer<'static>>, NotASetting> {
    let Some(path) = &settings.root_certificates else { return Ok(Vec::new()) };
    let advice = "give a PEM file of root certificates";
    let wrong = |problem: String| settings.wrong("root_certificates", format!("{}: {problem}", path.display()), advice);
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| wrong(error.to_string()))?;
    if found.is_empty() { Err(wrong("no certificate is in it".to_owned())) } else { Ok(found) }
}

/// Why a connection that failed was not trusted; none where it failed for another reason.
pub(super) fn distrust(error: &(dyn std::error::Error + 'static)) -> Option<Distrust> {
    use rustls::CertificateError as Wrong;
    let mut next = Some(error);
    while let Some(error) = next {
        // What wraps an error within one of input and output does not name it as its source.
        let within = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = error.downcast_ref::<rustls::Error>().or_else(|| within.and_then(|inner| inner.downcast_ref()));
        if let Some(rustls::Error::InvalidCertificate(wrong)) = tls {
            let of_time = matches!(
                wrong,
                Wrong::Expired | Wrong::ExpiredContext { .. } | Wrong::NotValidYet | Wrong::NotValidYetContext { .. }
            );
            return Some(if of_time { Distrust::Time } else { Distrust::Signer });
        }
        next = within.map_or_else(|| error.source(), |inner| Some(inner));
    }
    None
}
