//! What went wrong with a server, in the words and exit codes of the command line.

use alluvium_client::Error as ClientError;
use alluvium_client::code::Code;
use serde::Deserialize;

use crate::failure::Failure;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Error {
    /// There is nobody.
    Unreachable(String),
    /// What the client says.
    Client(ClientError),
    /// Anything else on the way.
    Other(String),
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        Error::Client(error)
    }
}

impl Error {
    /// As it is told of a server.
    pub(super) fn told(self, named: &str) -> Failure {
        match self {
            Error::Unreachable(why) => unreachable(named, &why),
            Error::Client(error) => of_client(named, &error),
            Error::Other(why) => Failure::failed(format_args!("the server {named} cannot be asked: {why}")),
        }
    }
}

fn unreachable(named: &str, why: &str) -> Failure {
    Failure::failed(format_args!("the server {named} cannot be reached: {why}; see whether it runs, and listens there"))
}

/// What the client says of a server.
pub(super) fn of_client(named: &str, error: &ClientError) -> Failure {
    match error {
        ClientError::Unreachable { detail, .. } => unreachable(named, detail),
        ClientError::Failed { failed, .. } => of_code(named, failed.code(), &failed.message),
        ClientError::Lost { doing, detail } => Failure::failed(format_args!(
            "the connection to the server {named} was lost while {doing}: {detail}; whether it was done is not known"
        )),
        other => Failure::failed(other),
    }
}

/// What is told of a request that was not done.
#[derive(Debug, Deserialize)]
struct Problem {
    detail: String,
    code: String,
}

fn problem(body: &[u8]) -> Option<(Code, String)> {
    let Problem { detail, code } = serde_json::from_slice(body).ok()?;
    let known = Code::ALL.into_iter().find(|known| format!("{known:?}") == code)?;
    Some((known, detail))
}

/// Whether an answer says that something is not there, and not that there is nothing that could be asked.
pub(super) fn is_missing(body: &[u8]) -> bool {
    problem(body).is_some_and(|(code, detail)| code == Code::Missing && !detail.starts_with("there is nothing at "))
}

/// What a server says that did not do something.
pub(super) fn refused(named: &str, status: u16, body: &[u8], hint: Option<&str>) -> Failure {
    match (problem(body), hint) {
        (_, Some(hint)) => Failure::failed(format_args!("the server {named} does not let us in: {hint}")),
        (Some((code, detail)), None) => of_code(named, code, &detail),
        (None, None) => {
            let said = String::from_utf8_lossy(body.get(..200).unwrap_or(body)).into_owned();
            Failure::failed(format_args!("the server {named} answers {status}: {said}"))
        }
    }
}

/// As the engine itself would say it, and end: what is wrong with a request is wrong usage.
fn of_code(named: &str, code: Code, message: &str) -> Failure {
    match code {
        Code::Invalid | Code::Limit | Code::BadRows | Code::WriterGap => Failure::usage(message),
        Code::Missing | Code::Conflict | Code::Gap => Failure::failed(message),
        _ => Failure::failed(format_args!("the server {named} refuses: {message}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_request_is_wrong_usage() {
        let said = |code: &str| format!(r#"{{"status":1,"detail":"so","code":"{code}","may_retry":false}}"#).into_bytes();
        assert!(matches!(refused("g", 400, &said("Invalid"), None), Failure::Usage(message) if message == "so"));
        assert!(matches!(refused("g", 404, &said("Missing"), None), Failure::Failed(message) if message == "so"));
        assert!(
            matches!(refused("g", 403, &said("Refused"), None), Failure::Failed(message) if message == "the server g refuses: so")
        );
        assert!(matches!(refused("g", 500, b"oh", None), Failure::Failed(message) if message.contains("500: oh")));
        assert!(is_missing(&said("Missing")) && !is_missing(&said("Invalid")) && !is_missing(b""));
    }
}
