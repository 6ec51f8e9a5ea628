//! The way over QUIC.

use std::time::Duration;

use alluvium_client::{Client, Pem, Settings, State};

use super::answer::Answer;
use super::chosen::{Credentials, ServerAt};
use super::request::Request;
use super::told::{self, Error};
use crate::failure::{Failure, Outcome};

/// Within which time a server has to answer at each of its addresses: somebody waits at a terminal.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Connects, or says after the first attempt why not.
pub(super) async fn connect(server: &ServerAt, credentials: &Credentials) -> Outcome<Client> {
    let [ca, cert, key] = credentials.files()?.map(|file| Pem::File(file.to_owned()));
    let mut settings = Settings::new(&server.name, &server.address, ca, cert, key);
    settings.agent = concat!("alluvium ", env!("CARGO_PKG_VERSION")).to_owned();
    settings.limits.handshake = HANDSHAKE;
    let named = server.to_string();
    let client = Client::connect(settings).await.map_err(|error| told::of_client(&named, &error))?;
    let mut states = client.state();
    loop {
        let error = match &*states.borrow_and_update() {
            State::Connected(_) => return Ok(client.clone()),
            State::Waiting { error, .. } | State::Failing { error, .. } => Some(error.clone()),
            _ => None,
        };
        if let Some(error) = error {
            return Err(told::of_client(&named, &error));
        }
        states.changed().await.map_err(|_| Failure::failed(format_args!("the server {named}: the connection was given up")))?;
    }
}

/// Asks for something.
pub(super) async fn ask(client: &Client, request: &Request) -> Result<Answer, Error> {
    Ok(Answer::Quic(client.call(request.method, &request.path, request.body.clone()).await?))
}
