//! Which slot of the page file holds which page of the image that redb sees.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use foldhash::fast::FixedState;

/// Where a page lies and what its checksum must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    /// Position in the page file, in pages.
    pub(super) at: u32,
    /// CRC-32 of the page.
    pub(super) crc: u32,
}

/// The map from pages to slots as it stands, and how it differs from the last checkpoint.
///
/// A slot that the last checkpoint refers to is never written again before the next one is durable: a page rewritten
/// meanwhile gets another slot. So whatever a power cut makes of unsynced writes, the last checkpoint stays readable.
#[derive(Debug, Default)]
pub(super) struct PageMap {
    /// A page without a slot is all zeroes.
    slots: HashMap<u32, Slot, FixedState>,
    /// Slots below `end` that hold nothing.
    free: BTreeSet<u32>,
    /// Slots from here on were never used.
    end: u32,
    since: Since,
}

/// What changed since the last checkpoint.
#[derive(Debug, Default)]
struct Since {
    /// Pages with another slot, checksum or none.
    dirty: BTreeSet<u32>,
    /// Slots filled since, which the checkpoint does not refer to.
    fresh: HashSet<u32>,
    /// Slots that only the checkpoint refers to.
    superseded: Vec<u32>,
    /// The shortest the image has been, in pages.
    shrunk_to: Option<u32>,
}

/// Changes taken out of the map to be made durable.
#[derive(Debug)]
pub(super) struct Cut {
    since: Since,
    /// The shortest the image has been, in pages; `u32::MAX` if it has not shrunk.
    pub(super) shrunk_to: u32,
    /// Changed pages; without a slot where they turned to zeroes.
    pub(super) entries: Vec<(u32, Option<Slot>)>,
}

impl PageMap {
    /// The map of a checkpoint. `None` if two pages claim one slot.
    pub(super) fn new(slots: BTreeMap<u32, Slot>) -> Option<Self> {
        let used: BTreeSet<u32> = slots.values().map(|slot| slot.at).collect();
        if used.len() != slots.len() {
            return None;
        }
        let end = used.last().map_or(0, |last| last.saturating_add(1));
        let free = (0..end).filter(|at| !used.contains(at)).collect();
        Some(PageMap { slots: slots.into_iter().collect(), free, end, since: Since::default() })
    }

    /// The slot of a page; `None` if it is all zeroes.
    pub(super) fn slot(&self, page: u32) -> Option<Slot> {
        self.slots.get(&page).copied()
    }

    /// Every page that is not all zeroes, in order.
    pub(super) fn slots(&self) -> impl Iterator<Item = (u32, Slot)> + '_ {
        let mut slots: Vec<_> = self.slots.iter().map(|(page, slot)| (*page, *slot)).collect();
        slots.sort_unstable_by_key(|(page, _)| *page);
        slots.into_iter()
    }

    /// How many pages are not all zeroes.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Finds a slot for new contents of a page, and whether it has to be given back if it is not used.
    pub(super) fn place(&mut self, page: u32) -> Option<(u32, bool)> {
        if let Some(slot) = self.slots.get(&page)
            && self.since.fresh.contains(&slot.at)
        {
            return Some((slot.at, false));
        }
        if let Some(at) = self.free.pop_first() {
            return Some((at, true));
        }
        let at = self.end;
        self.end = self.end.checked_add(1)?;
        Some((at, true))
    }

    /// Gives back a slot that could not be written.
    pub(super) fn unplace(&mut self, at: u32) {
        self.free.insert(at);
    }

    /// Says that a page now lies in a slot from [`PageMap::place`].
    pub(super) fn set(&mut self, page: u32, slot: Slot) {
        self.since.fresh.insert(slot.at);
        self.since.dirty.insert(page);
        if let Some(old) = self.slots.insert(page, slot)
            && old.at != slot.at
        {
            self.leave(old.at);
        }
    }

    /// Says that a page is now all zeroes.
    pub(super) fn set_zero(&mut self, page: u32) {
        if let Some(old) = self.slots.remove(&page) {
            self.since.dirty.insert(page);
            self.leave(old.at);
        }
    }

    /// Cuts the image to so many pages.
    pub(super) fn truncate(&mut self, pages: u32) {
        let gone: Vec<_> = self.slots.extract_if(|page, _| *page >= pages).collect();
        gone.into_iter().for_each(|(_, slot)| self.leave(slot.at));
        drop(self.since.dirty.split_off(&pages));
        self.since.shrunk_to = Some(self.since.shrunk_to.map_or(pages, |least| least.min(pages)));
    }

    fn leave(&mut self, at: u32) {
        if self.since.fresh.remove(&at) {
            self.free.insert(at);
        } else {
            self.since.superseded.push(at);
        }
    }

    /// Takes the changes since the last checkpoint, to be made durable. Pages written from now on belong to the next one.
    pub(super) fn cut(&mut self) -> Cut {
        let since = std::mem::take(&mut self.since);
        let entries = since.dirty.iter().map(|page| (*page, self.slot(*page))).collect();
        Cut { shrunk_to: since.shrunk_to.unwrap_or(u32::MAX), entries, since }
    }

    /// The changes became durable: slots of the checkpoint before are free.
    pub(super) fn committed(&mut self, cut: Cut) {
        self.free.extend(cut.since.superseded);
        while self.end > 0 && self.free.remove(&(self.end - 1)) {
            self.end -= 1;
        }
    }

    /// The changes did not become durable and belong to the next attempt.
    pub(super) fn rolled_back(&mut self, cut: Cut) {
        let now = std::mem::take(&mut self.since);
        self.since = cut.since;
        if let Some(pages) = now.shrunk_to {
            drop(self.since.dirty.split_off(&pages));
        }
        self.since.dirty.extend(now.dirty);
        self.since.fresh.extend(now.fresh);
        self.since.shrunk_to = [self.since.shrunk_to, now.shrunk_to].into_iter().flatten().min();
        for at in now.superseded {
            self.leave(at);
        }
    }

    /// Slots in the page file, used or not.
    pub(super) fn end(&self) -> u32 {
        self.end
    }
}

impl Cut {
    /// Whether nothing changed.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.since.shrunk_to.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(map: &mut PageMap, page: u32) -> u32 {
        let (at, _) = map.place(page).unwrap();
        map.set(page, Slot { at, crc: 7 });
        at
    }

    #[test]
    fn slots_of_a_checkpoint_are_not_reused_before_the_next() {
        let mut map = PageMap::default();
        let first = put(&mut map, 5);
        assert_eq!(put(&mut map, 5), first, "within one checkpoint a page is rewritten where it lies");
        let cut = map.cut();
        map.committed(cut);
        let second = put(&mut map, 5);
        assert_ne!(second, first);
        assert_ne!(put(&mut map, 6), first);
        let cut = map.cut();
        map.committed(cut);
        assert_eq!(put(&mut map, 7), first, "now nothing refers to it");
    }

    #[test]
    fn writes_during_a_checkpoint_leave_its_slots_alone() {
        let mut map = PageMap::default();
        let first = put(&mut map, 1);
        let cut = map.cut();
        let second = put(&mut map, 1);
        assert_ne!(second, first);
        map.rolled_back(cut);
        let third = put(&mut map, 2);
        assert_eq!(third, first, "no checkpoint refers to the first slot");
        assert_eq!(map.cut().entries.len(), 2);
    }

    #[test]
    fn a_page_that_shrank_away_is_a_change() {
        let mut map = PageMap::default();
        put(&mut map, 1);
        put(&mut map, 9);
        let cut = map.cut();
        map.committed(cut);
        map.truncate(4);
        let cut = map.cut();
        assert!(!cut.is_empty());
        assert_eq!((cut.shrunk_to, cut.entries.len()), (4, 0));
        assert_eq!(map.slot(9), None);
    }

    #[test]
    fn one_slot_cannot_hold_two_pages() {
        let slot = Slot { at: 3, crc: 0 };
        assert!(PageMap::new(BTreeMap::from([(0, slot), (1, slot)])).is_none());
        let map = PageMap::new(BTreeMap::from([(0, slot)])).unwrap();
        assert_eq!((map.end(), map.free.len()), (4, 3));
    }
}
