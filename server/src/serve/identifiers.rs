//! How connections are known again after a restart: clients of one that is gone hear of it at once, instead of waiting until they
//! have been idle for too long (stateless resets, RFC 9000, section 10.3).

use std::sync::Arc;

use quinn::EndpointConfig;
use quinn_proto::HashedConnectionIdGenerator;
use ring::hmac::{HMAC_SHA256, Key, sign};

/// What only this database's servers know.
pub(crate) type Secret = [u8; 32];

/// How an endpoint of this secret names connections and gives up those it does not know.
pub(super) fn config(secret: &Secret) -> EndpointConfig {
    let key = Key::new(HMAC_SHA256, secret);
    let resets = Key::new(HMAC_SHA256, sign(&key, b"stateless resets").as_ref());
    let names = sign(&key, b"connection ids");
    // Only so that noise gets no answer: who connects can make such names anyway.
    let names = names.as_ref().iter().take(8).fold(0, |names, byte| (names << 8) | u64::from(*byte));
    let mut config = EndpointConfig::new(Arc::new(resets));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(names)));
    config
}
