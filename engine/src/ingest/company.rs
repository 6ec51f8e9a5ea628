//! For how many a group is worth waiting a moment.
//!
//! Whoever is told that his work is done is often back with more before the next sync is over, and then has to wait for the one
//! after it: several writers end up in two groups that take turns, and a writer of rows beside writers of metadata has half
//! of all syncs. So a leader waits for as many as the last group had and left waiting, but no longer than a sync takes; and where
//! that is in vain, it is tried again only after twice as many groups.

/// Groups after which it is tried again at the latest.
const MOST_SKIPPED: u32 = 256;

/// How many there seem to be that go on submitting.
#[derive(Debug, Default)]
pub(super) struct Company {
    expected: usize,
    /// Groups until it is tried again.
    skipping: u32,
    /// Groups skipped after the next time in vain.
    skip_next: u32,
}

impl Company {
    /// For how many to wait, with so many there already; `None` if not at all.
    pub(super) fn worth_waiting_for(&mut self, waiting: usize) -> Option<usize> {
        if waiting >= self.expected {
            return None;
        }
        if self.skipping > 0 {
            self.skipping -= 1;
            return None;
        }
        Some(self.expected)
    }

    /// Learns whether they came.
    pub(super) fn waited(&mut self, came: bool) {
        if came {
            (self.skipping, self.skip_next) = (0, 0);
        } else {
            self.skip_next = (2 * self.skip_next).clamp(1, MOST_SKIPPED);
            self.skipping = self.skip_next;
        }
    }

    /// Learns how many a group had, and how many were waiting when it ended.
    pub(super) fn committed(&mut self, members: usize, waiting: usize) {
        self.expected = members + waiting;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_alone() {
        let mut company = Company::default();
        assert_eq!(company.worth_waiting_for(1), None);
        company.committed(1, 0);
        assert_eq!(company.worth_waiting_for(1), None);
    }

    #[test]
    fn two_that_take_turns_become_one_group() {
        let mut company = Company::default();
        company.committed(1, 1);
        assert_eq!(company.worth_waiting_for(1), Some(2));
        company.waited(true);
        company.committed(2, 0);
        assert_eq!(company.worth_waiting_for(1), Some(2));
        assert_eq!(company.worth_waiting_for(2), None);
    }

    #[test]
    fn waiting_in_vain_becomes_rare() {
        let mut company = Company::default();
        let mut waits = 0;
        for _ in 0..10_000 {
            company.committed(1, 1);
            if company.worth_waiting_for(1).is_some() {
                waits += 1;
                company.waited(false);
            }
        }
        assert!((30..60).contains(&waits), "{waits}");
        company.waited(true);
        assert_eq!(company.worth_waiting_for(1), Some(2), "it begins anew once somebody came");
    }
}
