//! The gateway of the demo: its database, served on this machine to clients that it has given certificates.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use alluvium::{Database, Grant, Principal};
use alluvium_client::{Client, Pem, Settings};

use crate::certificates::{Clock, Office, Subject};
use crate::commands::access::cert::register::{self, Having};
use crate::commands::access::change;
use crate::config::HttpSettings;
use crate::failure::{Failure, Outcome};
use crate::local::Local;
use crate::serve::{self, Guests, Places, Running};
use crate::sync::Links;

/// For how many days certificates of the demo hold.
const DAYS: u32 = 1;

pub(super) struct Gateway {
    pub(super) db: Arc<Database>,
    office: Arc<Office>,
    running: Running,
}

impl Gateway {
    /// Opens the database and serves it, on a free port of this machine.
    pub(super) async fn open(directory: &Path) -> Outcome<Gateway> {
        let db = Arc::new(Database::open(directory)?);
        let office = Arc::new(Office::open(directory, None, Clock::new(db.principals().noted_time()?))?);
        let secret = Local::of(directory).secret()?;
        let guests = Guests { tls: Arc::new(office.server_config()?), office: Some(office.clone()), secret };
        let places = Places { quic: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), http: None };
        let (gateway, doors) = (office.gateway(), HttpSettings::default());
        let (settings, links) = (serve::Settings::default(), Links::default());
        let running = Running::start(db.clone(), gateway, guests, settings, places, &doors, links).await?;
        Ok(Gateway { db, office, running })
    }

    /// Its id.
    pub(super) fn id(&self) -> String {
        self.office.gateway()
    }

    /// Where it listens.
    pub(super) fn at(&self) -> SocketAddr {
        self.running.places.quic
    }

    /// A client with a certificate of its own, for someone who may do so much.
    pub(super) async fn client(&self, name: &str, grant: &str) -> Outcome<Client> {
        let principal = Principal::new(name).grant(grant.parse::<Grant>()?);
        let (key, request) = Subject::to_request()?;
        let issued = self.office.certify(name, &request, DAYS)?;
        let (certificate, now) = (&issued.certificate, self.office.now_micros() / 1_000_000);
        change(&self.db, "certificate.issue", name, &certificate.key.to_string(), |transaction| {
            transaction.principals().put(&principal)?;
            register::put_in(transaction, certificate, Having::Anything, now)
        })?;
        self.running.access().changed();
        let [ca, cert, key] = [self.office.authority_pem()?, issued.chain, key].map(|pem| Pem::Bytes(pem.into_bytes()));
        let settings = Settings::new(self.office.gateway(), self.at().to_string(), ca, cert, key);
        Client::connect(settings).await.map_err(Failure::failed)
    }

    /// Ends, once its clients have.
    pub(super) async fn close(self) -> Outcome {
        self.running.finish().await?;
        Arc::into_inner(self.db).map_or(Ok(()), |db| Ok(db.close()?))
    }
}
