//! The bytes of a file, in pages that copies share: an image of a disk costs little more than a list of its pages.

use std::sync::Arc;

const PAGE: usize = 4096;

type Page = Arc<[u8; PAGE]>;

/// The bytes of a file. Pages never written are zeroes.
#[derive(Debug, Clone, Default)]
pub struct Content {
    len: usize,
    pages: Vec<Option<Page>>,
}

impl Content {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fills `out` from `offset`; `false` if the file ends before.
    pub fn read(&self, offset: usize, out: &mut [u8]) -> bool {
        if offset.checked_add(out.len()).is_none_or(|end| end > self.len) {
            return false;
        }
        let mut at = offset;
        let mut rest = out;
        while !rest.is_empty() {
            let (page, within) = (at / PAGE, at % PAGE);
            let (part, after) = rest.split_at_mut(rest.len().min(PAGE - within));
            match &self.pages[page] {
                Some(bytes) => part.copy_from_slice(&bytes[within..within + part.len()]),
                None => part.fill(0),
            }
            at += part.len();
            rest = after;
        }
        true
    }

    /// Writes at `offset`, growing the file where needed.
    pub fn write(&mut self, offset: usize, data: &[u8]) {
        if self.len < offset + data.len() {
            self.set_len(offset + data.len());
        }
        let mut at = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let (page, within) = (at / PAGE, at % PAGE);
            let (part, after) = rest.split_at(rest.len().min(PAGE - within));
            let bytes = self.pages[page].get_or_insert_with(|| Arc::new([0; PAGE]));
            Arc::make_mut(bytes)[within..within + part.len()].copy_from_slice(part);
            at += part.len();
            rest = after;
        }
    }

    /// Cuts the file, or grows it with zeroes.
    pub fn set_len(&mut self, len: usize) {
        if len < self.len
            && !len.is_multiple_of(PAGE)
            && let Some(Some(last)) = self.pages.get_mut(len / PAGE)
        {
            Arc::make_mut(last)[len % PAGE..].fill(0);
        }
        self.pages.resize(len.div_ceil(PAGE), None);
        self.len = len;
    }

    /// Inverts one bit, counted from the lowest of the first byte.
    pub fn flip(&mut self, bit: usize) {
        let mut byte = [0];
        assert!(self.read(bit / 8, &mut byte), "bit {bit} is beyond the end");
        self.write(bit / 8, &[byte[0] ^ (1 << (bit % 8))]);
    }

    /// All bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        self.read(0, &mut bytes);
        bytes
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        let mut content = Content::default();
        content.write(0, bytes);
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaves_like_a_vector() {
        let mut rng = fastrand::Rng::with_seed(crate::seed(3));
        let (mut content, mut plain) = (Content::default(), Vec::<u8>::new());
        for _ in 0..500 {
            let offset = rng.usize(0..20_000);
            if rng.u8(0..4) == 0 {
                content.set_len(offset);
                plain.resize(offset, 0);
            } else {
                let data: Vec<u8> = (0..rng.usize(0..9_000)).map(|_| rng.u8(..)).collect();
                content.write(offset, &data);
                plain.resize(plain.len().max(offset + data.len()), 0);
                plain[offset..offset + data.len()].copy_from_slice(&data);
            }
            let copy = content.clone();
            content.write(0, b"x");
            assert!(copy.to_vec() == plain);
            content = copy;
        }
        assert!(!content.read(plain.len(), &mut [0]));
    }
}
