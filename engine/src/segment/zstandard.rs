//! Zstandard, with control over where its blocks begin.

use zstd::bulk::Decompressor;
use zstd::stream::raw::{Encoder, InBuffer, Operation, OutBuffer};

use super::Malformed;
use crate::error::{Error, Result};

/// Compresses pages at one level; its tables are kept from page to page.
pub(super) struct Compressor {
    encoder: Encoder<'static>,
}

impl Compressor {
    pub(super) fn new(level: i32) -> Result<Self> {
        let encoder = Encoder::new(level).map_err(refused)?;
        Ok(Compressor { encoder })
    }

    /// One frame holding `parts` end to end. Each part begins a new block, so that parts of different nature (the byte planes of
    /// floats, say) get entropy tables of their own; every reader of Zstandard takes that.
    pub(super) fn compress(&mut self, parts: &[&[u8]]) -> Result<Vec<u8>> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        // zstd's own bound is a 256th more and up to 64 bytes; each flushed block adds a few.
        let mut out: Vec<u8> = Vec::with_capacity(total + total / 128 + 128 + 16 * parts.len());
        let capacity = out.capacity();
        self.encoder.reinit().map_err(refused)?;
        self.encoder.set_pledged_src_size(Some(total as u64)).map_err(refused)?;
        let mut sink = OutBuffer::around(&mut out);
        for part in parts {
            let mut input = InBuffer::around(part);
            while input.pos() < part.len() && sink.pos() < capacity {
                self.encoder.run(&mut input, &mut sink).map_err(refused)?;
            }
            if parts.len() > 1 {
                while sink.pos() < capacity && self.encoder.flush(&mut sink).map_err(refused)? > 0 {}
            }
        }
        while sink.pos() < capacity && self.encoder.finish(&mut sink, true).map_err(refused)? > 0 {}
        if sink.pos() == capacity {
            return Err(Error::Internal("zstd: more bytes than its bound".into()));
        }
        Ok(out)
    }
}

fn refused(error: std::io::Error) -> Error {
    Error::Internal(format!("zstd: {error}"))
}

/// Bytes that one block of a frame can stand for, and the fewest it takes: a header of three and what is to be repeated.
const BLOCK_PLAIN_BYTES: usize = 128 << 10;
const BLOCK_LEAST_BYTES: usize = 4;

/// Decompresses into `out`, which then holds exactly `expected` bytes.
pub(super) fn decompress(
    decompressor: &mut Decompressor<'static>,
    bytes: &[u8],
    expected: usize,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    // What is expected is only claimed; no more is reserved than these bytes can hold.
    if expected.div_ceil(BLOCK_PLAIN_BYTES) > bytes.len().div_ceil(BLOCK_LEAST_BYTES) {
        return Err(Malformed("a page decompresses to another size than expected"));
    }
    out.clear();
    out.reserve_exact(expected);
    match decompressor.decompress_to_buffer(bytes, out) {
        Ok(found) if found == expected => Ok(()),
        Ok(_) => Err(Malformed("a page decompresses to another size than expected")),
        Err(_) => Err(Malformed("a page does not decompress")),
    }
}
