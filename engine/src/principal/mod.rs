//! Who may do what: principals, their roles and grants, and the tokens and certificates they are known by.
//!
//! A principal has roles, a role has grants, and a principal may have grants of its own; everything that is not granted is refused.
//! All of it lies in the key space like other metadata, tokens as nothing but their hashes and in no change feed.

mod certificate;
mod form;
mod grant;
mod pattern;
mod rights;
mod role;
mod time;
mod token;
mod words;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use certificate::{Certificate, KeyHash};
pub(crate) use form::{Told, told};
pub use grant::{Action, Grant, Object};
pub use pattern::Pattern;
pub use rights::{Rights, Scope, Target};
pub use token::Token;

use crate::error::{Error, Result};
use crate::keyspace::{Access, Direction, Transaction, prefix, space};
use crate::model::Sequence;
use crate::shared::check_text;
use crate::writer;
use form::{PrincipalForm, RoleForm, TokenForm};

/// Bytes of the name of a principal or role, at most.
const NAME_BYTES: usize = 128;
/// Roles and grants of a principal or role, at most each.
const MOST: usize = 256;

/// Someone who may do something: a device, a program or a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Letters and digits of ASCII and `.`, `_`, `-`, `@`, `+`: it stands in certificates as `alluvium:NAME`.
    pub name: String,
    /// Roles, by name: `device`, `reader`, `operator`, `admin`, or own ones.
    pub roles: Vec<String>,
    /// What it may do besides.
    pub grants: Vec<Grant>,
    /// Whether it may do nothing for now.
    pub disabled: bool,
}

impl Principal {
    /// One that may do nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        Principal { name: name.into(), roles: Vec::new(), grants: Vec::new(), disabled: false }
    }

    /// Refuses a name that none may have.
    pub fn check_name(name: &str) -> Result<()> {
        check_name("principal", name)
    }

    /// Gives it a role.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }

    /// Gives it a grant.
    #[must_use]
    pub fn grant(mut self, grant: Grant) -> Self {
        self.grants.push(grant);
        self
    }
}

/// Principals, roles and tokens, of a database or as a transaction sees them.
///
/// ```
/// use alluvium::{Action, Database, Principal, Target};
///
/// # fn main() -> alluvium::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let db = Database::open(dir.path().join("data"))?;
/// db.principals().put(&Principal::new("pump-7").role("device").grant("read collection:recipes".parse()?))?;
/// let (secret, _) = db.principals().issue_token("pump-7", "commissioning", None)?;
///
/// let token = db.principals().authenticate(&secret)?.unwrap();
/// let rights = db.principals().rights(&token.principal)?.unwrap();
/// assert!(rights.permit(Action::Read, Target::Collection("recipes")));
/// assert!(!rights.permit(Action::Read, Target::Table("air"))); // not all of it:
/// let own = rights.scope(Action::Write, "air").unwrap();
/// assert!(own.holds(|tag| (tag == "device").then_some("pump-7")));
/// assert!(!own.holds(|tag| (tag == "device").then_some("pump-8")));
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Principals<A> {
    access: A,
}

impl<A: Access> Principals<A> {
    pub(crate) fn new(access: A) -> Self {
        Principals { access }
    }

    /// Puts a principal, in the place of any of its name. Its roles have to be there.
    pub fn put(&mut self, principal: &Principal) -> Result<Sequence> {
        check_name("principal", &principal.name)?;
        check_few("roles", principal.roles.len())?;
        check_few("grants", principal.grants.len())?;
        let principal = principal.clone();
        let put = move |transaction: &mut Transaction| {
            principal.roles.iter().try_for_each(|role| grants_of(transaction, role).map(drop))?;
            transaction.put(cell(space::PRINCIPAL, &principal.name), form::encode(&PrincipalForm::of(&principal))?);
            Ok(())
        };
        self.access.write(put).map(|((), sequence)| sequence)
    }

    /// The principal of a name.
    pub fn get(&self, name: &str) -> Result<Option<Principal>> {
        self.access.read(|transaction| read(transaction, name))
    }

    /// All principals, by name.
    pub fn list(&self) -> Result<Vec<Principal>> {
        self.access.read(|transaction| {
            let cells = transaction.scan(prefix(&[space::PRINCIPAL]), Direction::Forward)?;
            cells.map(|cell| cell.and_then(|(key, (_, cell))| open(&key, &cell))).collect()
        })
    }

    /// Removes a principal with its tokens and writers, and revokes its certificates. Answers whether there was one.
    pub fn remove(&mut self, name: &str) -> Result<bool> {
        let name = name.to_owned();
        let remove = move |transaction: &mut Transaction| {
            let there = read(transaction, &name)?.is_some();
            if there {
                transaction.remove(cell(space::PRINCIPAL, &name));
                let tokens = token::all(transaction)?.into_iter().filter(|(_, token)| token.principal == name);
                tokens.for_each(|(key, _)| transaction.remove(key));
                let writers = transaction.scan(writer::cells_of(&name), Direction::Forward)?;
                let writers = writers.map(|cell| cell.map(|(key, _)| key)).collect::<Result<Vec<_>>>()?;
                writers.into_iter().for_each(|key| transaction.remove(key));
                // Another of the same name must not be taken for it.
                let mut certificates = certificate::all(transaction)?;
                certificates.retain(|one| one.principal == name);
                certificate::revoke(transaction, &mut certificates)?;
            }
            Ok(there)
        };
        self.access.free(remove).map(|(there, _)| there)
    }

    /// What a principal may do; `None` if there is none of this name, or it is disabled.
    pub fn rights(&self, name: &str) -> Result<Option<Rights>> {
        self.access.read(|transaction| {
            let Some(principal) = read(transaction, name)?.filter(|principal| !principal.disabled) else { return Ok(None) };
            let mut grants = principal.grants;
            for role in &principal.roles {
                grants.extend(grants_of(transaction, role)?);
            }
            Ok(Some(Rights::new(name, grants)))
        })
    }

    /// Puts a role, in the place of any own one of its name.
    pub fn put_role(&mut self, name: &str, grants: &[Grant]) -> Result<Sequence> {
        check_name("role", name)?;
        check_few("grants", grants.len())?;
        check_own(name)?;
        let (key, value) = (cell(space::ROLE, name), form::encode(&RoleForm::of(grants))?);
        let put = move |transaction: &mut Transaction| {
            transaction.put(key, value);
            Ok(())
        };
        self.access.write(put).map(|((), sequence)| sequence)
    }

    /// The grants of a role; `None` if there is none of this name.
    pub fn role(&self, name: &str) -> Result<Option<Vec<Grant>>> {
        self.access.read(|transaction| find_grants(transaction, name))
    }

    /// The names of all roles, those first that every database has.
    pub fn roles(&self) -> Result<Vec<String>> {
        self.access.read(|transaction| {
            let own = transaction.scan(prefix(&[space::ROLE]), Direction::Forward)?;
            let own = own.map(|cell| cell.and_then(|(key, _)| form::name(&key).map(str::to_owned)));
            role::built_in().map(|name| Ok(name.to_owned())).chain(own).collect()
        })
    }

    /// Removes an own role that no principal has. Answers whether there was one.
    pub fn remove_role(&mut self, name: &str) -> Result<bool> {
        check_own(name)?;
        let name = name.to_owned();
        let remove = move |transaction: &mut Transaction| {
            for found in transaction.scan(prefix(&[space::PRINCIPAL]), Direction::Forward)? {
                let (key, (_, cell)) = found?;
                let principal = open(&key, &cell)?;
                if principal.roles.contains(&name) {
                    return Err(Error::invalid(format!("principal {:?} has role {name:?}: take it away first", principal.name)));
                }
            }
            let key = cell(space::ROLE, &name);
            let there = transaction.get(&key)?.is_some();
            if there {
                transaction.remove(key);
            }
            Ok(there)
        };
        self.access.free(remove).map(|(there, _)| there)
    }

    /// Issues a token to a principal, for good or for a time by the engine's clock. Answers its text, which is stored nowhere, and
    /// what else there is to know of it.
    pub fn issue_token(&mut self, principal: &str, label: &str, lasts: Option<Duration>) -> Result<(String, Token)> {
        if !label.is_empty() {
            check_text("label", label, token::LABEL_BYTES)?;
        }
        let text = token::text(&self.access.shared().random()?);
        let key = token::cell_of(&text).ok_or_else(|| Error::Internal("a new token that is none".to_owned()))?;
        let (principal, label) = (principal.to_owned(), label.to_owned());
        let issue = move |transaction: &mut Transaction| {
            if read(transaction, &principal)?.is_none() {
                return Err(Error::NoSuchPrincipal { name: principal });
            }
            let at = transaction.at();
            let expires_at =
                lasts.map(|time| at.engine_micros.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX)));
            let form = TokenForm { principal, label, issued_at: at.wall_micros, expires_at };
            let value = form::encode(&form)?;
            transaction.put(key.clone(), value);
            let TokenForm { principal, label, issued_at, .. } = form;
            Ok(Token { id: token::id_of(&key), principal, label, issued_at, expires_in: lasts })
        };
        let (token, _) = self.access.write(issue)?;
        Ok((text, token))
    }

    /// All tokens that still hold.
    pub fn tokens(&self) -> Result<Vec<Token>> {
        self.access.read(|transaction| {
            let cells = transaction.scan(prefix(&[space::TOKEN]), Direction::Forward)?;
            let open = |cell: Result<_>| {
                let (key, (_, cell)): (crate::record::Key, crate::catalog::Stored) = cell?;
                token::open(transaction, &key, &cell)
            };
            cells.map(open).filter_map(Result::transpose).collect()
        })
    }

    /// Revokes a token by its id, and lets go of all that have expired. Answers whether there was one.
    pub fn revoke_token(&mut self, id: &str) -> Result<bool> {
        let id = id.to_owned();
        let revoke = move |transaction: &mut Transaction| {
            let found = token::find(transaction, &id)?;
            let there = found.is_some();
            let now = transaction.at().engine_micros;
            let expired = token::all(transaction)?.into_iter().filter(|(_, form)| form.expires_at.is_some_and(|at| at <= now));
            for (key, _) in expired.chain(found) {
                transaction.remove(key);
            }
            Ok(there)
        };
        self.access.free(revoke).map(|(there, _)| there)
    }

    /// Notes a certificate that was issued. A revoked key stays revoked.
    pub fn put_certificate(&mut self, certificate: &Certificate) -> Result<Sequence> {
        check_name("principal", &certificate.principal)?;
        let certificate = certificate.clone();
        let put = move |transaction: &mut Transaction| {
            let before = certificate::read(transaction, certificate.key)?.and_then(|before| before.revoked_at);
            let revoked_at = certificate.revoked_at.or(before);
            certificate::put(transaction, Certificate { revoked_at, ..certificate })
        };
        self.access.write(put).map(|((), sequence)| sequence)
    }

    /// The certificates that were noted or revoked, by the hashes of their keys.
    pub fn certificates(&self) -> Result<Vec<Certificate>> {
        self.access.read(certificate::all)
    }

    /// Revokes the certificates of a principal, or those whose key's hash begins with at least eight digits. Answers which.
    pub fn revoke_certificates(&mut self, name: &str) -> Result<Vec<Certificate>> {
        let name = name.to_owned();
        let revoke = move |transaction: &mut Transaction| {
            let mut found = certificate::called(transaction, &name)?;
            certificate::revoke(transaction, &mut found)?;
            Ok(found)
        };
        self.access.write(revoke).map(|(revoked, _)| revoked)
    }

    /// Revokes a key, whether or not a certificate of it was issued here.
    pub fn revoke_key(&mut self, key: KeyHash) -> Result<Sequence> {
        let revoke = move |transaction: &mut Transaction| {
            let unknown = Certificate { key, principal: String::new(), not_before: 0, not_after: 0, revoked_at: None };
            let known = certificate::read(transaction, key)?.unwrap_or(unknown);
            let revoked_at = known.revoked_at.or(Some(transaction.at().wall_micros));
            certificate::put(transaction, Certificate { revoked_at, ..known })
        };
        self.access.write(revoke).map(|((), sequence)| sequence)
    }

    /// Whether a key was revoked.
    pub fn is_revoked(&self, key: KeyHash) -> Result<bool> {
        let read = |transaction: &Transaction| certificate::read(transaction, key);
        Ok(self.access.read(read)?.is_some_and(|certificate| certificate.revoked_at.is_some()))
    }

    /// Notes a time of the wall clock before which no certificate is to be judged any more, in microseconds UTC. The latest counts.
    pub fn note_time(&mut self, wall_micros: i64) -> Result<Sequence> {
        self.access.write(move |transaction| time::note(transaction, wall_micros)).map(|((), sequence)| sequence)
    }

    /// The latest time that was noted.
    pub fn noted_time(&self) -> Result<Option<i64>> {
        self.access.read(time::noted)
    }

    /// The token of this text; `None` if it is none, was revoked or has expired, or its principal is gone or disabled.
    pub fn authenticate(&self, text: &str) -> Result<Option<Token>> {
        let Some(key) = token::cell_of(text) else { return Ok(None) };
        self.access.read(|transaction| {
            let Some((_, cell)) = transaction.get(&key)? else { return Ok(None) };
            let Some(token) = token::open(transaction, &key, &cell)? else { return Ok(None) };
            let principal = read(transaction, &token.principal)?;
            Ok(principal.is_some_and(|principal| !principal.disabled).then_some(token))
        })
    }
}

fn cell(space: u8, name: &str) -> crate::record::Key {
    form::key(space, name.as_bytes())
}

fn read(transaction: &Transaction, name: &str) -> Result<Option<Principal>> {
    let key = cell(space::PRINCIPAL, name);
    transaction.get(&key)?.map(|(_, cell)| open(&key, &cell)).transpose()
}

fn open(key: &[u8], cell: &[u8]) -> Result<Principal> {
    form::decode::<PrincipalForm>(cell)?.open(form::name(key)?)
}

fn find_grants(transaction: &Transaction, role: &str) -> Result<Option<Vec<Grant>>> {
    if let Some(built_in) = role::grants(role) {
        return built_in.map(Some);
    }
    transaction.get(&cell(space::ROLE, role))?.map(|(_, cell)| form::decode::<RoleForm>(&cell)?.open()).transpose()
}

fn grants_of(transaction: &Transaction, role: &str) -> Result<Vec<Grant>> {
    find_grants(transaction, role)?.ok_or_else(|| Error::NoSuchRole { name: role.to_owned() })
}

/// Refuses what cannot stand in a certificate, or would mean something in a pattern.
fn check_name(what: &str, name: &str) -> Result<()> {
    check_text(what, name, NAME_BYTES)?;
    match name.chars().find(|c| !(c.is_ascii_alphanumeric() || "._-@+".contains(*c))) {
        Some(odd) => {
            Err(Error::invalid(format!("{what} {name:?} holds {odd:?}: names have ASCII letters and digits and . _ - @ +")))
        }
        None => Ok(()),
    }
}

fn check_own(role: &str) -> Result<()> {
    match role::grants(role) {
        Some(_) => Err(Error::invalid(format!("role {role:?} is the same in every database: give another a name of its own"))),
        None => Ok(()),
    }
}

fn check_few(what: &'static str, found: usize) -> Result<()> {
    crate::format::limits::check(what, found as u64, MOST as u64, "")
}
