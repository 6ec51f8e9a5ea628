//! Who commits, who waits, and where outcomes are left. Knows nothing of logs and tables, so that every interleaving of its
//! threads can be tried.
//!
//! There is no commit thread. Whoever finds nobody leading takes what waits, commits it as one group, and leaves each outcome
//! where its submitter looks for it; so a lone submitter never changes threads.
//!
//! Members of the group under way and those who come after it wait at different places, so that at its end only those are woken
//! who have something to do: its members, and one who leads the next.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use super::company::Company;
use super::monitor::{Monitor, Monitors, Place, System};

#[cfg(test)]
mod tests;

/// What a group is and how it is committed.
pub(super) trait Grouping {
    /// What is submitted.
    type Work;
    /// What becomes of it.
    type Outcome;
    /// What groups are committed to.
    type State;

    /// How much longer a group is to wait for company. Asked until it says zero.
    fn linger(&self) -> Duration;
    /// How long a group is worth delaying for those who were in the last one.
    fn patience(&self) -> Duration;
    /// How many of the works that wait, oldest first, go into the next group: at least one.
    fn members<'a>(&self, waiting: impl Iterator<Item = &'a Self::Work>) -> usize
    where
        Self::Work: 'a;
    /// Commits a group and answers what became of each member, in order.
    fn commit(&self, state: &mut Self::State, group: Vec<Self::Work>) -> Vec<Self::Outcome>;
}

/// Works that wait, and the state they are committed to, group by group.
pub(super) struct Leader<G: Grouping, M: Monitors = System> {
    grouping: G,
    state: M::Monitor<G::State>,
    queue: M::Monitor<Waiting<G>>,
}

type Waiting<G> = Queue<<G as Grouping>::Work, <G as Grouping>::Outcome>;
type Guard<'a, G, M> = <<M as Monitors>::Monitor<Waiting<G>> as Monitor<Waiting<G>>>::Guard<'a>;

/// Which work an outcome belongs to.
type Ticket = u64;

struct Queue<W, O> {
    waiting: VecDeque<(Ticket, W)>,
    /// Outcomes not yet fetched.
    outcomes: BTreeMap<Ticket, O>,
    next: Ticket,
    /// All before this one were taken into a group.
    taken: Ticket,
    /// Where those wait who were not.
    place: Place,
    leading: bool,
    company: Company,
    /// As soon as so many wait, the leader is told.
    gathering: Option<usize>,
    /// A leader panicked: what became of its group is unknown, so nothing more is committed.
    broken: bool,
}

impl<G: Grouping, M: Monitors> Leader<G, M> {
    pub(super) fn new(grouping: G, state: G::State) -> Self {
        let queue = Queue {
            waiting: VecDeque::new(),
            outcomes: BTreeMap::new(),
            next: 0,
            taken: 0,
            place: Place::default(),
            leading: false,
            company: Company::default(),
            gathering: None,
            broken: false,
        };
        Leader { grouping, state: Monitor::new(state), queue: Monitor::new(queue) }
    }

    /// What groups are.
    pub(super) fn grouping(&self) -> &G {
        &self.grouping
    }

    /// The state between two groups. While it is held none is committed.
    pub(super) fn state(&self) -> <M::Monitor<G::State> as Monitor<G::State>>::Guard<'_> {
        self.state.lock()
    }

    /// Commits work, alone or with that of others, and answers what became of it; `None` after a panic while committing.
    pub(super) fn submit(&self, work: G::Work) -> Option<G::Outcome> {
        let mut queue = self.queue.lock();
        let ticket = queue.next;
        queue.next += 1;
        queue.waiting.push_back((ticket, work));
        if queue.gathering.is_some_and(|wanted| queue.waiting.len() >= wanted) {
            self.queue.notify_arrival();
        }
        loop {
            if let Some(outcome) = queue.outcomes.remove(&ticket) {
                return Some(outcome);
            }
            if queue.broken {
                return None;
            }
            if queue.leading {
                let place = queue.place_of(ticket);
                queue = self.queue.wait(queue, place);
                continue;
            }
            queue.leading = true;
            loop {
                let linger = self.grouping.linger();
                if linger.is_zero() {
                    break;
                }
                queue = self.queue.wait_arrival_for(queue, linger);
            }
            queue = self.gather(queue);
            let members = self.grouping.members(queue.waiting.iter().map(|(_, work)| work)).min(queue.waiting.len());
            let (tickets, group) = queue.take(members);
            drop(queue);
            self.lead(tickets, group);
            queue = self.queue.lock();
        }
    }

    /// Waits a moment for those who are likely to come.
    fn gather<'a>(&'a self, mut queue: Guard<'a, G, M>) -> Guard<'a, G, M> {
        let there = queue.waiting.len();
        let Some(wanted) = queue.company.worth_waiting_for(there) else { return queue };
        queue.gathering = Some(wanted);
        queue = self.queue.wait_arrival_for(queue, self.grouping.patience());
        queue.gathering = None;
        let came = queue.waiting.len() >= wanted;
        queue.company.waited(came);
        queue
    }

    /// Commits a group and gives up leading, whatever happens.
    fn lead(&self, tickets: Vec<Ticket>, group: Vec<G::Work>) {
        let mut tenure = Tenure { leader: self, outcomes: None };
        let outcomes = self.grouping.commit(&mut self.state.lock(), group);
        debug_assert_eq!(tickets.len(), outcomes.len(), "each member has an outcome");
        tenure.outcomes = Some(tickets.into_iter().zip(outcomes).collect());
    }
}

impl<W, O> Queue<W, O> {
    /// Takes the oldest works into a group. From now on others wait elsewhere.
    fn take(&mut self, members: usize) -> (Vec<Ticket>, Vec<W>) {
        let (tickets, group): (Vec<_>, Vec<_>) = self.waiting.drain(..members).unzip();
        self.taken = tickets.last().map_or(self.taken, |last| last + 1);
        self.place = self.place.other();
        (tickets, group)
    }

    /// Where to wait for what becomes of a work.
    fn place_of(&self, ticket: Ticket) -> Place {
        if ticket < self.taken { self.place.other() } else { self.place }
    }
}

/// Ends with the outcomes left for those who wait; without any if the commit panicked.
struct Tenure<'a, G: Grouping, M: Monitors> {
    leader: &'a Leader<G, M>,
    outcomes: Option<Vec<(Ticket, G::Outcome)>>,
}

impl<G: Grouping, M: Monitors> Drop for Tenure<'_, G, M> {
    fn drop(&mut self) {
        let mut queue = self.leader.queue.lock();
        let next = queue.place;
        match self.outcomes.take() {
            Some(outcomes) => {
                let (members, waiting) = (outcomes.len(), queue.waiting.len());
                queue.company.committed(members, waiting);
                queue.outcomes.extend(outcomes);
            }
            None => queue.broken = true,
        }
        queue.leading = false;
        let broken = queue.broken;
        drop(queue);
        // First who leads the next group, so that the disk does not wait for those who are done to go their way.
        if broken {
            self.leader.queue.notify_all(next)
        } else {
            self.leader.queue.notify_one(next)
        }
        self.leader.queue.notify_all(next.other());
    }
}

impl<G: Grouping, M: Monitors> fmt::Debug for Leader<G, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leader").finish_non_exhaustive()
    }
}
