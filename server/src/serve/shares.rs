//! What everybody shares, of which one principal, or one network, has a half at most: who takes all that they get leaves something
//! for others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::access::Caller;

/// Those who are remembered before those who have nothing any more are looked for.
const REMEMBERED: usize = 256;

/// So much of something.
#[derive(Debug)]
pub(crate) struct Shares {
    all: Arc<Semaphore>,
    /// What one principal may have.
    each: usize,
    own: Mutex<HashMap<Arc<str>, Weak<Semaphore>>>,
}

/// What one principal may take of it.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    all: Arc<Semaphore>,
    own: Option<Arc<Semaphore>>,
}

/// The address by which those are counted who have it: of IPv6 anybody has 64 bits for themselves (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

/// What was taken, until it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    all: OwnedSemaphorePermit,
    own: Option<(OwnedSemaphorePermit, Arc<Semaphore>)>,
}

impl Shares {
    /// Of so much in all; a principal may have half of it, but `least` in any case.
    pub(super) fn new(all: usize, least: usize) -> Self {
        Shares { all: Arc::new(Semaphore::new(all)), each: (all / 2).max(least), own: Mutex::default() }
    }

    /// The share of a caller. Where everybody is the same, there are no others to leave anything for.
    pub(crate) fn of(&self, caller: &Caller) -> Share {
        let own = match caller {
            Caller::Anybody => None,
            Caller::Certified { principal, .. } | Caller::Bearer { principal } => Some(self.own(principal)),
        };
        Share { all: self.all.clone(), own }
    }

    /// The share of those who come from the network of an address.
    pub(super) fn of_network(&self, address: IpAddr) -> Share {
        Share { all: self.all.clone(), own: Some(self.own(&network(address).to_string().into())) }
    }

    fn own(&self, whose: &Arc<str>) -> Arc<Semaphore> {
        let mut own = self.own.lock();
        if let Some(known) = own.get(whose).and_then(Weak::upgrade) {
            return known;
        }
        if own.len() >= REMEMBERED {
            own.retain(|_, known| known.strong_count() > 0);
        }
        let new = Arc::new(Semaphore::new(self.each));
        own.insert(whose.clone(), Arc::downgrade(&new));
        new
    }

    /// What nobody has.
    pub(super) fn left(&self) -> usize {
        self.all.available_permits()
    }
}

impl Share {
    /// All that there is, whoever takes it: for what is counted elsewhere already.
    pub(crate) fn of_all(self) -> Share {
        Share { own: None, ..self }
    }

    /// Takes so much, and waits for it. Who waits for their own share holds up nobody else.
    pub(crate) async fn take(&self, amount: u32) -> Result<Taken, AcquireError> {
        let own = match &self.own {
            Some(own) => Some((own.clone().acquire_many_owned(amount).await?, own.clone())),
            None => None,
        };
        Ok(Taken { all: self.all.clone().acquire_many_owned(amount).await?, own })
    }

    /// What is left of it.
    pub(super) fn left(&self) -> usize {
        let own = self.own.as_ref().map_or(usize::MAX, |own| own.available_permits());
        own.min(self.all.available_permits())
    }

    /// The same without waiting.
    pub(crate) fn try_take(&self, amount: u32) -> Result<Taken, TryAcquireError> {
        let own = match &self.own {
            Some(own) => Some((own.clone().try_acquire_many_owned(amount)?, own.clone())),
            None => None,
        };
        Ok(Taken { all: self.all.clone().try_acquire_many_owned(amount)?, own })
    }
}

impl Taken {
    /// How much.
    pub(crate) fn amount(&self) -> usize {
        self.all.num_permits()
    }

    /// Puts more of the same share to it.
    pub(crate) fn merge(&mut self, more: Taken) {
        self.all.merge(more.all);
        if let (Some((own, _)), Some((more, _))) = (&mut self.own, more.own) {
            own.merge(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(name: &str) -> Caller {
        Caller::Bearer { principal: name.into() }
    }

    #[test]
    fn nobody_has_more_than_half() {
        let shares = Shares::new(4, 1);
        let mut taken = shares.of(&bearer("a")).try_take(1).unwrap();
        taken.merge(shares.of(&bearer("a")).try_take(1).unwrap());
        assert_eq!((taken.amount(), shares.left()), (2, 2));
        assert!(shares.of(&bearer("a")).try_take(1).is_err());
        let other = shares.of(&bearer("b")).try_take(2).unwrap();
        assert!(shares.of(&bearer("c")).try_take(1).is_err(), "all is taken");
        drop((taken, other));
        assert!(shares.of(&Caller::Anybody).try_take(4).is_ok(), "all of it, where everybody is the same");
        assert!(shares.of(&bearer("a")).of_all().try_take(4).is_ok());
        assert!(shares.of(&bearer("a")).try_take(2).is_ok(), "what was given back is there again");
    }

    #[test]
    fn those_of_one_network_have_half() {
        let shares = Shares::new(4, 1);
        let of = |address: &str| shares.of_network(address.parse().unwrap());
        let taken = [of("2001:db8::1").try_take(1).unwrap(), of("2001:db8::2:3").try_take(1).unwrap()];
        assert_eq!((of("2001:db8::4").left(), of("2001:db8:0:1::1").left()), (0, 2));
        assert!(of("2001:db8::ffff").try_take(1).is_err());
        drop(taken);
        let _taken = [of("192.0.2.1").try_take(1).unwrap(), of("::ffff:192.0.2.1").try_take(1).unwrap()];
        assert!(of("192.0.2.1").try_take(1).is_err(), "the same in the dress of IPv6");
        assert!(of("192.0.2.2").try_take(2).is_ok());
    }

    #[test]
    fn one_may_have_what_one_thing_takes_and_who_has_nothing_is_forgotten() {
        let shares = Shares::new(4, 3);
        assert!(shares.of(&bearer("a")).try_take(3).is_ok());
        for number in 0..10_000 {
            shares.of(&bearer(&number.to_string()));
        }
        assert!(shares.own.lock().len() <= REMEMBERED);
    }
}
