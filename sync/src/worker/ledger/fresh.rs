//! Objects that were just put: a few, so that a link that works is not asked for them again.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;

use crate::remote::Hash;

/// Bytes of the largest object that is kept.
const MOST_OF_ONE: u64 = 1 << 20;
/// Bytes that are kept together.
const MOST: usize = 4 << 20;

/// The last ones.
#[derive(Debug, Default)]
pub(in crate::worker) struct Fresh {
    objects: VecDeque<(Hash, Bytes)>,
    bytes: usize,
}

impl Fresh {
    /// Keeps an object for a while, unless it is large.
    pub(in crate::worker) fn put(&mut self, hash: Hash, object: Bytes) {
        if object.len() as u64 > MOST_OF_ONE || self.get(hash).is_some() {
            return;
        }
        self.bytes += object.len();
        self.objects.push_back((hash, object));
        while self.bytes > MOST
            && let Some((_, oldest)) = self.objects.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }

    /// The same of a file. Where that cannot be read, the bucket has it.
    pub(in crate::worker) fn put_file(&mut self, hash: Hash, path: &Path) {
        let mut object = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MOST_OF_ONE + 1).read_to_end(&mut object));
        if read.is_ok() {
            self.put(hash, object.into());
        }
    }

    /// The object of a hash, if it is still here.
    pub(super) fn get(&self, hash: Hash) -> Option<Bytes> {
        self.objects.iter().find(|(of, _)| *of == hash).map(|(_, object)| object.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_much_is_kept_and_the_oldest_goes_first() {
        let mut fresh = Fresh::default();
        let object = |byte: u8| Bytes::from(vec![byte; 1 << 20]);
        for byte in 0..6 {
            fresh.put(Hash([byte; 32]), object(byte));
        }
        let kept: Vec<_> = (0..6).filter(|byte| fresh.get(Hash([*byte; 32])).is_some()).collect();
        assert_eq!(kept, [2, 3, 4, 5]);
        fresh.put(Hash([9; 32]), Bytes::from(vec![0; (1 << 20) + 1]));
        assert!(fresh.get(Hash([9; 32])).is_none());
        fresh.put(Hash([5; 32]), object(5));
        assert_eq!((fresh.objects.len(), fresh.bytes), (4, MOST));
    }
}
