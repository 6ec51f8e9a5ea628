//! `alluvium cert list` and `revoke`: what was issued, and what does not hold any more.

use std::io::{self, Write};

use alluvium::{Certificate, Error, KeyHash, TimeUnit, Transaction};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{change, principal};
use super::clock;
use crate::certificates::Clock;
use crate::commands::values::say;
use crate::commands::{Context, Place};
use crate::failure::Outcome;
use crate::output::table::{Align, Table};
use crate::output::timestamp;
use crate::{remote, told};

/// Digits of a hash that are shown: more than enough to call it by.
const DIGITS: usize = 16;

pub(super) fn list(context: &Context) -> Outcome {
    let (certificates, now): (Vec<told::Certificate>, i64) = match context.place()? {
        Place::Here(database) => {
            let certificates = database.principals().certificates()?;
            let now = clock(&database)?.seconds();
            database.close()?;
            (certificates.iter().map(describe).collect(), now)
        }
        Place::There(remote) => (remote.all("certificates", &remote::get(&["certificates"]))?, Clock::new(None).seconds()),
    };
    if context.json {
        return certificates.iter().try_for_each(|certificate| context.print_json(certificate));
    }
    let headings = [("key", Align::Left), ("principal", Align::Left), ("holds until", Align::Left), ("state", Align::Left)];
    let mut table = Table::new(headings);
    for certificate in certificates {
        let state = state(&certificate, now);
        table.push([first_digits(&certificate.key), certificate.principal, certificate.not_after.unwrap_or_default(), state]);
    }
    let mut out = io::stdout().lock();
    table.write(&mut out)?;
    Ok(out.flush()?)
}

pub(super) fn revoke(context: &Context, name: &str) -> Outcome {
    let revoked: Vec<told::Certificate> = match context.place()? {
        Place::Here(database) => {
            let revoked = change(&database, "certificate.revoke", name, "", |transaction| revoke_in(transaction, name))?;
            database.close()?;
            revoked.iter().map(describe).collect()
        }
        Place::There(remote) => remote.list("revoked", &remote::delete(&["certificates", name]))?,
    };
    for certificate in revoked {
        let (key, principal) = (first_digits(&certificate.key), &certificate.principal);
        match context.json {
            true => context.print_json(&certificate)?,
            false if principal.is_empty() => say(&format!("key {key} is revoked"))?,
            false => say(&format!("key {key} of {principal} is revoked"))?,
        }
    }
    Ok(())
}

/// Revokes what is called so. What is not listed may be another authority's.
pub(crate) fn revoke_in(transaction: &mut Transaction<'_>, name: &str) -> Result<Vec<Certificate>, Error> {
    let revoked = transaction.principals().revoke_certificates(name)?;
    if !revoked.is_empty() {
        return Ok(revoked);
    }
    let key = parse_key(name);
    let known = |transaction: &mut Transaction<'_>| -> Result<Option<Certificate>, Error> {
        Ok(transaction.principals().certificates()?.into_iter().find(|one| Some(one.key) == key))
    };
    match key {
        Some(key) if known(transaction)?.is_none() => {
            transaction.principals().revoke_key(key)?;
            Ok(known(transaction)?.into_iter().collect())
        }
        _ => Err(Error::NoSuchCertificate { name: name.to_owned() }),
    }
}

/// What a principal has to have to be issued a certificate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Having {
    /// Whatever it has.
    #[default]
    Anything,
    /// No certificate that holds.
    None,
    /// Some certificate, whether it holds or not.
    Some,
}

impl Having {
    /// Refuses where that is not so.
    pub(super) fn check(self, all: &[Certificate], name: &str, now: i64) -> Result<(), Error> {
        let mut held = all.iter().filter(|one| one.principal == name);
        match self {
            Having::Anything => Ok(()),
            Having::None => held.find(|one| holds(one, now)).map_or(Ok(()), |one| {
                let until = until(one);
                Err(Error::Invalid(format!(
                    "{name:?} has a certificate that holds until {until}: revoke it, use `alluvium cert renew`, or give --another"
                )))
            }),
            Having::Some => held
                .next()
                .map(drop)
                .ok_or_else(|| Error::Invalid(format!("{name:?} has no certificate yet: use `alluvium cert issue`"))),
        }
    }

    /// What the audit trail calls it to issue another.
    pub(crate) fn what(self) -> &'static str {
        if self == Having::Some { "certificate.renew" } else { "certificate.issue" }
    }
}

/// Puts one that was issued now, if there is who it is for, who has what is needed.
pub(crate) fn put_in(
    transaction: &mut Transaction<'_>,
    certificate: &Certificate,
    having: Having,
    now: i64,
) -> Result<(), Error> {
    principal(transaction, &certificate.principal)?;
    let all = transaction.principals().certificates()?;
    having.check(&all, &certificate.principal, now)?;
    check_key(&all, &certificate.principal, certificate.key)?;
    transaction.principals().put_certificate(certificate).map(|_| ())
}

/// A key has one owner, and never holds again once it was revoked.
fn check_key(all: &[Certificate], name: &str, key: KeyHash) -> Result<(), Error> {
    match all.iter().find(|one| one.key == key) {
        Some(one) if one.revoked_at.is_some() => {
            Err(Error::Invalid(format!("key {} was revoked: have the device make another", short(key))))
        }
        Some(one) if one.principal != name => {
            Err(Error::Invalid(format!("key {} is that of {:?}: have the device make one of its own", short(key), one.principal)))
        }
        _ => Ok(()),
    }
}

/// A hash of 64 hexadecimal digits.
fn parse_key(digits: &str) -> Option<KeyHash> {
    let nibbles: Vec<u32> = digits.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let bytes = nibbles.chunks(2).map(|pair| u8::try_from(pair.iter().fold(0, |byte, nibble| byte << 4 | nibble)).ok());
    let hash = bytes.collect::<Option<Vec<u8>>>()?.try_into().ok().filter(|_| nibbles.len() == 64)?;
    Some(KeyHash(hash))
}

/// What a certificate is called.
pub(super) fn short(key: KeyHash) -> String {
    first_digits(&key.to_string())
}

fn first_digits(digits: &str) -> String {
    digits.chars().take(DIGITS).collect()
}

/// When it ends; nothing where only its key is known.
fn until(certificate: &Certificate) -> String {
    match certificate.not_after {
        0 => String::new(),
        seconds => at(seconds.saturating_mul(1_000_000)),
    }
}

fn at(micros: i64) -> String {
    timestamp::utc(micros, TimeUnit::Micro)
}

/// Whether it holds.
fn holds(certificate: &Certificate, now: i64) -> bool {
    certificate.revoked_at.is_none() && certificate.not_after > now
}

/// How one stands that is described so.
fn state(certificate: &told::Certificate, now: i64) -> String {
    let ends = certificate.not_after.as_deref().and_then(|until| until.parse::<Timestamp>().ok());
    match &certificate.revoked_at {
        Some(at) => format!("revoked {at}"),
        None if ends.is_some_and(|ends| ends.as_second() > now) => String::new(),
        None => "ended".to_owned(),
    }
}

/// A certificate for programs.
pub(crate) fn describe(certificate: &Certificate) -> told::Certificate {
    let Certificate { key, principal, not_before, not_after, revoked_at } = certificate;
    let known = |seconds: i64| (seconds != 0).then(|| at(seconds.saturating_mul(1_000_000)));
    told::Certificate {
        key: key.to_string(),
        principal: principal.clone(),
        not_before: known(*not_before),
        not_after: known(*not_after),
        revoked_at: revoked_at.map(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_called_by_all_its_digits() {
        let key = KeyHash(std::array::from_fn(|at| u8::try_from(at * 7).unwrap()));
        assert_eq!(parse_key(&key.to_string()), Some(key));
        assert_eq!(parse_key(&key.to_string().to_uppercase()), Some(key));
        for odd in ["", "0", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"é".repeat(64)] {
            assert_eq!(parse_key(odd), None, "{odd:?}");
        }
    }
}
