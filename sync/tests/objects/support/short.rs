//! s3s-fs makes the name of one file of the whole name of an object, for which those of segments are too long. On the way there they get
//! another one, and the request another signature; on the way back they are what they were.

use std::collections::BTreeMap;
use std::sync::Mutex;

use alluvium_sync::remote::Hash;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Uri};
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::HttpRequestBody;

use super::servers::ACCESS_KEY;

/// What a file's name ends in that may be too long, and from which length on it is.
const ENDING: &str = ".parquet";
const LONG: usize = 100;

/// What short names stand for.
static NAMES: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Shortens the name that is asked for.
pub(crate) fn there(parts: &mut Parts) {
    let uri = parts.uri.to_string();
    let Some(end) = uri.find(ENDING).map(|at| at + ENDING.len()) else { return };
    let long = &uri[uri[..end].rfind('/').map_or(0, |at| at + 1)..end];
    if long.len() < LONG {
        return;
    }
    let short = format!("{}{ENDING}", &Hash::of(long.as_bytes()).to_string()[..32]);
    NAMES.lock().unwrap().insert(short.clone(), long.to_owned());
    sign(parts, &uri.replace(long, &short));
}

/// Puts the names back that a list has.
pub(crate) fn back(answered: Bytes) -> Bytes {
    if !answered.starts_with(b"<?xml") {
        return answered;
    }
    let text = String::from_utf8(answered.to_vec()).unwrap();
    NAMES.lock().unwrap().iter().fold(text, |text, (short, long)| text.replace(short, long)).into()
}

/// Signs a request as it now is. What it says of its body stays as it was said.
fn sign(parts: &mut Parts, path: &str) {
    let credential = AwsCredential { key_id: ACCESS_KEY.0.to_owned(), secret_key: ACCESS_KEY.1.to_owned(), token: None };
    let (host, said) = (parts.headers["host"].clone(), parts.headers["x-amz-content-sha256"].to_str().unwrap());
    let digest = said.parse::<Hash>().ok();
    let authorizer = AwsAuthorizer::new(&credential, "s3", "us-east-1").with_sign_payload(digest.is_some());
    let mut request = Request::new(HttpRequestBody::empty());
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = format!("http://{}{path}", host.to_str().unwrap()).parse().unwrap();
    *request.headers_mut() = parts.headers.clone();
    authorizer.try_authorize(&mut request, digest.as_ref().map(|hash| &hash.0[..])).unwrap();
    parts.headers = std::mem::take(request.headers_mut());
    parts.headers.insert("host", host);
    parts.uri = path.parse::<Uri>().unwrap();
}
