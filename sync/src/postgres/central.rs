//! What the owner does at the centre.

use postgres_protocol::password::scram_sha_256;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Transaction};

use crate::remote::Hash;

use super::connect::Door;
use super::error::{Failure, of_statement};
use super::schema::{APIS, MIGRATIONS, Migration, REPLACED, ROLES, STATUS, obsolete};
use super::{API, Error, Options, Secret, Status, answers};

/// Held while the schema changes, so that two owners do it one after the other: "alluvium" in ASCII.
const LOCK: i64 = 0x616c_6c75_7669_756d;

/// Bytes of the longest name of a gateway.
const LONGEST_NAME: usize = 255;

/// The centre, as its owner sees it: a role that may make schemas and roles in a database of its own.
pub struct Central {
    client: Client,
}

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The numbers of those that had not been made.
    pub applied: Vec<u32>,
    /// Versions of the functions that were dropped since nobody should call them any more.
    pub dropped: Vec<u32>,
    /// Monthly partitions that were made.
    pub partitions: u32,
}

impl Central {
    /// Connects as the owner.
    ///
    /// # Errors
    ///
    /// [`Error`], by what to do.
    pub async fn connect(options: &Options) -> Result<Central, Error> {
        Ok(Central { client: Door::new(options)?.open().await? })
    }

    /// Makes the schema, or brings it to what this release needs, in one transaction. Gateways of this version and the one before can go on. To do
    /// it again puts functions and rights as they should be, and makes partitions for the months to come: once a year is enough.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where the server is too old, or a later release was here; others by what to do.
    pub async fn migrate(&mut self) -> Result<Migrated, Error> {
        let transaction = self.client.transaction().await.map_err(failed)?;
        // A gateway's session could hold locks too, and this one shall not wait for it without end.
        transaction.batch_execute("SET LOCAL lock_timeout = '60s'").await.map_err(failed)?;
        transaction.execute_typed("SELECT pg_advisory_xact_lock($1)", &[(&LOCK, Type::INT8)]).await.map_err(failed)?;
        fits(&transaction).await?;
        let applied = tables(&transaction).await?;
        let dropped = functions(&transaction).await?;
        let partitions = partitions(&transaction).await?;
        transaction.batch_execute(ROLES).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(Migrated { applied, dropped, partitions })
    }

    /// Makes a gateway, and tells its secret, which nobody can tell again.
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] where there is one of that name, retired or not.
    pub async fn provision(&self, name: &str) -> Result<Secret, Error> {
        let bytes = 1..=LONGEST_NAME;
        if !bytes.contains(&name.len()) || name.chars().any(char::is_control) {
            return Err(Error::Invalid(format!("a gateway's name has 1 to {LONGEST_NAME} bytes and no control characters")));
        }
        let secret = Secret::random()?;
        let statement = "INSERT INTO alluvium.gateways (name, secret) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        let arguments = [(&name as _, Type::TEXT), (&secret.digest() as _, Type::BYTEA)];
        match self.client.execute_typed(statement, &arguments).await.map_err(failed)? {
            0 => Err(Error::Exists(name.to_owned())),
            _ => Ok(secret),
        }
    }

    /// Gives a gateway another secret, also one that was retired. The old one is refused from now on.
    ///
    /// # Errors
    ///
    /// [`Error::NoGateway`] where there is none of that name.
    pub async fn rotate(&self, name: &str) -> Result<Secret, Error> {
        let secret = Secret::random()?;
        let statement = "UPDATE alluvium.gateways SET secret = $2, rotated_at = now(), retired_at = NULL WHERE name = $1";
        let arguments = [(&name as _, Type::TEXT), (&secret.digest() as _, Type::BYTEA)];
        match self.client.execute_typed(statement, &arguments).await.map_err(failed)? {
            0 => Err(Error::NoGateway(name.to_owned())),
            _ => Ok(secret),
        }
    }

    /// Refuses a gateway from now on. What is known of it stays.
    ///
    /// # Errors
    ///
    /// [`Error::NoGateway`] where there is none of that name.
    pub async fn retire(&self, name: &str) -> Result<(), Error> {
        let statement = "UPDATE alluvium.gateways SET retired_at = coalesce(retired_at, now()) WHERE name = $1";
        match self.client.execute_typed(statement, &[(&name, Type::TEXT)]).await.map_err(failed)? {
            0 => Err(Error::NoGateway(name.to_owned())),
            _ => Ok(()),
        }
    }

    /// Gives the gateways' login a password. The server, and what it logs, sees only what it checks it by (SCRAM-SHA-256).
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the owner may not.
    pub async fn set_login_password(&self, password: &str) -> Result<(), Error> {
        // It is made of base64, digits and `$:`, so it needs no quoting.
        let verifier = scram_sha_256(password.as_bytes());
        let statement = format!("ALTER ROLE alluvium_gateway PASSWORD '{verifier}'");
        self.client.batch_execute(&statement).await.map_err(failed)
    }

    /// How the centre is, and one gateway or all.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] where there is no schema yet; others by what to do.
    pub async fn status(&self, gateway: Option<&str>) -> Result<Status, Error> {
        let row = self.client.query_typed_one(STATUS, &[(&gateway, Type::TEXT)]).await.map_err(failed)?;
        let text: String = row.try_get(0).map_err(failed)?;
        answers::read(&text)
    }
}

impl std::fmt::Debug for Central {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Central").finish_non_exhaustive()
    }
}

fn failed(error: tokio_postgres::Error) -> Error {
    match of_statement(&error) {
        Failure::Not(error) => error,
        // Everything here can be done again, or tells that it was done.
        Failure::Lost(why) => Error::Ambiguous(why),
    }
}

async fn fits(transaction: &Transaction<'_>) -> Result<(), Error> {
    let statement = "SELECT current_setting('server_version_num')::integer, current_setting('server_encoding')";
    let row = transaction.query_typed_one(statement, &[]).await.map_err(failed)?;
    let (version, encoding): (i32, &str) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    if version < 130_000 {
        return Err(Error::Unsupported(format!("PostgreSQL 13 or later, and this is {}", version / 10_000)));
    }
    if encoding != "UTF8" {
        return Err(Error::Unsupported(format!("a database in UTF8, and this is in {encoding}")));
    }
    Ok(())
}

/// Makes the migrations that were not made. Those that were must be the ones of this release.
async fn tables(transaction: &Transaction<'_>) -> Result<Vec<u32>, Error> {
    let records = "CREATE SCHEMA IF NOT EXISTS alluvium;
        CREATE TABLE IF NOT EXISTS alluvium.migrations (
            number integer PRIMARY KEY, name text NOT NULL, hash bytea NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())";
    transaction.batch_execute(records).await.map_err(failed)?;
    let known =
        transaction.query_typed("SELECT number, hash FROM alluvium.migrations ORDER BY number", &[]).await.map_err(failed)?;
    for row in &known {
        let (number, hash): (i32, Vec<u8>) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        let Some(own) = MIGRATIONS.iter().find(|migration| migration.number == number) else {
            return Err(Error::Unsupported(format!("a release that knows migration {number}")));
        };
        if Hash::of(own.sql.as_bytes()).0 != *hash {
            return Err(Error::Unsupported(format!("migration {number} as this release has it, and another was made")));
        }
    }
    let mut applied = Vec::new();
    for Migration { number, name, sql } in MIGRATIONS.iter().skip(known.len()) {
        transaction.batch_execute(sql).await.map_err(failed)?;
        let hash = Hash::of(sql.as_bytes()).0.to_vec();
        let statement = "INSERT INTO alluvium.migrations (number, name, hash) VALUES ($1, $2, $3)";
        let arguments = [(number as _, Type::INT4), (name as _, Type::TEXT), (&hash as _, Type::BYTEA)];
        transaction.execute_typed(statement, &arguments).await.map_err(failed)?;
        applied.push(number.unsigned_abs());
    }
    Ok(applied)
}

/// Puts functions and views in, and drops versions that are too old.
async fn functions(transaction: &Transaction<'_>) -> Result<Vec<u32>, Error> {
    for sql in REPLACED {
        transaction.batch_execute(sql).await.map_err(failed)?;
    }
    for (version, sql) in APIS {
        let schema = format!("CREATE SCHEMA IF NOT EXISTS alluvium_v{version}");
        transaction.batch_execute(&schema).await.map_err(failed)?;
        transaction.batch_execute(sql).await.map_err(failed)?;
    }
    let statement = "SELECT substring(nspname FROM 11)::integer FROM pg_namespace WHERE nspname ~ '^alluvium_v[0-9]{1,4}$'";
    let there = transaction.query_typed(statement, &[]).await.map_err(failed)?;
    let there: Result<Vec<i32>, _> = there.iter().map(|row| row.try_get(0)).collect();
    let there: Vec<_> = there.map_err(failed)?.into_iter().map(i32::unsigned_abs).collect();
    let dropped = obsolete(&there, API);
    for version in &dropped {
        transaction.batch_execute(&format!("DROP SCHEMA alluvium_v{version} CASCADE")).await.map_err(failed)?;
    }
    Ok(dropped)
}

/// For segments of the last two years and the next two.
async fn partitions(transaction: &Transaction<'_>) -> Result<u32, Error> {
    let statement = "SELECT alluvium.make_partitions((date_trunc('month', now()) - interval '24 months')::date,
        (date_trunc('month', now()) + interval '24 months')::date)";
    let row = transaction.query_typed_one(statement, &[]).await.map_err(failed)?;
    row.try_get::<_, i32>(0).map(i32::unsigned_abs).map_err(failed)
}
