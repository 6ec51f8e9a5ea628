//! How connections are known again after a restart: clients of one that is gone hear of it at once, instead of waiting until they
//! have been idle for too long (stateless resets, RFC 9000, section 10.3).

use std::sync::Arc;

use quinn::EndpointConfig;
use quinn_proto::RandomConnectionIdGenerator;
use ring::hmac::{HMAC_SHA256, Key};

/// What only this database's servers know.
pub(crate) type Secret = [u8; 32];

/// Bytes of what connections are called: so many that nobody learns how to reset those of others by asking for every name
/// (section 21.11).
const NAME_BYTES: usize = 16;

/// How an endpoint of this secret names connections and gives up those it does not know.
pub(super) fn config(secret: &Secret) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(Key::new(HMAC_SHA256, secret)));
    config.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(NAME_BYTES)));
    config
}
