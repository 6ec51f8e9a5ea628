//! Two ordered sources of keys as one.

use std::cmp::Ordering;
use std::iter::{Fuse, Peekable};

use crate::catalog::Stored;
use crate::error::Result;
use crate::record::Key;

/// Which end a scan begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// An iterator from either of its ends.
pub(crate) struct Directed<I>(pub(super) Direction, pub(super) I);

impl<I: DoubleEndedIterator> Iterator for Directed<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        match self.0 {
            Direction::Forward => self.1.next(),
            Direction::Backward => self.1.next_back(),
        }
    }
}

/// Keys with their values, in the order of a direction that both sources have. What is newer stands for what is older, also where
/// it is nothing. Neither source is read further than it has to be.
pub(crate) struct Merged<O: Iterator, N: Iterator> {
    direction: Direction,
    older: Peekable<Fuse<O>>,
    newer: Peekable<Fuse<N>>,
}

impl<O: Iterator, N: Iterator> Merged<O, N> {
    pub(super) fn new(direction: Direction, older: O, newer: N) -> Self {
        Merged { direction, older: older.fuse().peekable(), newer: newer.fuse().peekable() }
    }
}

impl<O, N> Iterator for Merged<O, N>
where
    O: Iterator<Item = Result<(Key, Stored)>>,
    N: Iterator<Item = (Key, Option<Stored>)>,
{
    type Item = Result<(Key, Stored)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.older.peek(), self.newer.peek()) {
                (Some(Ok((older, _))), Some((newer, _))) => match self.direction {
                    Direction::Forward => older.cmp(newer),
                    Direction::Backward => newer.cmp(older),
                },
                (None, Some(_)) => Ordering::Greater,
                (_, None) | (Some(Err(_)), _) => Ordering::Less,
            };
            if order.is_lt() {
                return self.older.next();
            }
            if order.is_eq() {
                self.older.next();
            }
            if let Some((key, Some(stored))) = self.newer.next() {
                return Some(Ok((key, stored)));
            }
        }
    }
}
