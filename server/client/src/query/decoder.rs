//! Decodes the Arrow IPC stream of an answer, in whatever pieces it comes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;

use super::guard::Guard;

/// Record batches, out of the bytes of a stream.
#[derive(Debug)]
pub(super) struct Decoder {
    guard: Guard,
    decoder: StreamDecoder,
    /// What has come and was not looked at, from `taken` on.
    bytes: Vec<u8>,
    taken: usize,
    /// What was looked at and not decoded.
    piece: Buffer,
}

impl Decoder {
    /// Messages may have so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Decoder {
            guard: Guard::new(limit),
            decoder: StreamDecoder::new(),
            bytes: Vec::new(),
            taken: 0,
            piece: Buffer::from(Vec::<u8>::new()),
        }
    }

    /// Takes bytes that have come. What came before has to be decoded.
    pub(super) fn push(&mut self, bytes: Vec<u8>) {
        (self.bytes, self.taken) = (bytes, 0);
    }

    /// The schema, once it has come.
    pub(super) fn schema(&self) -> Option<SchemaRef> {
        self.decoder.schema()
    }

    /// The next batch, if all of it has come.
    pub(super) fn take(&mut self) -> Result<Option<RecordBatch>, String> {
        loop {
            // A batch without a body comes out with the first bytes behind it, and these are yet to be decoded.
            if let Some(batch) = self.decode()? {
                return Ok(Some(batch));
            }
            let mut rest = &self.bytes[self.taken..];
            let piece = self.guard.cut(&mut rest);
            self.taken = self.bytes.len() - rest.len();
            let Some(piece) = piece? else { return Ok(None) };
            self.piece = Buffer::from(piece);
        }
    }

    /// What the decoder panics over is bytes that have to be refused; it is not asked again.
    fn decode(&mut self) -> Result<Option<RecordBatch>, String> {
        match catch_unwind(AssertUnwindSafe(|| self.decoder.decode(&mut self.piece))) {
            Ok(decoded) => decoded.map_err(|error| error.to_string()),
            Err(_) => Err("the decoder gave up on it".to_owned()),
        }
    }

    /// Says whether the stream may end here.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        if !self.guard.is_whole() {
            return Err("it ends within a message".to_owned());
        }
        self.decoder.finish().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, DictionaryArray, Float64Array};
    use arrow::datatypes::Int32Type;
    use arrow::ipc::writer::StreamWriter;

    use super::*;

    fn batch(rooms: &[&str]) -> RecordBatch {
        let rooms: DictionaryArray<Int32Type> = rooms.iter().copied().collect();
        let kw: ArrayRef = Arc::new(Float64Array::from_iter_values((0..rooms.keys().len()).map(|row| row as f64)));
        RecordBatch::try_from_iter([("room", Arc::new(rooms) as ArrayRef), ("kw", kw)]).unwrap()
    }

    fn stream(batches: &[RecordBatch]) -> Vec<u8> {
        let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.into_inner().unwrap()
    }

    fn read(bytes: &[u8], limit: usize, mut piece: impl FnMut() -> usize) -> Result<Vec<RecordBatch>, String> {
        let (mut decoder, mut batches, mut at) = (Decoder::new(limit), Vec::new(), 0);
        while at < bytes.len() {
            let end = bytes.len().min(at + piece());
            decoder.push(bytes[at..end].to_vec());
            at = end;
            while let Some(batch) = decoder.take()? {
                batches.push(batch);
            }
        }
        decoder.finish()?;
        Ok(batches)
    }

    fn random() -> fastrand::Rng {
        let seed = std::env::var("ALLUVIUM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
        println!("ALLUVIUM_SEED={seed}");
        fastrand::Rng::with_seed(seed)
    }

    #[test]
    fn batches_come_out_however_their_bytes_come_in() {
        let mut random = random();
        let batches = [batch(&["A", "B", "A"]), batch(&["C"]), batch(&[])];
        let bytes = stream(&batches);
        for most in [1, 7, 100, 100_000] {
            assert_eq!(read(&bytes, 1 << 20, || random.usize(1..=most)).unwrap(), batches, "{most}");
        }
        assert!(read(&bytes[..bytes.len() - 20], 1 << 20, || 50).is_err());
    }

    #[test]
    fn lengths_are_not_believed() {
        let bytes = stream(&[batch(&["A"; 1_000])]);
        assert!(read(&bytes, 1_000, || 1 << 20).unwrap_err().contains("the limit is 1000"));
        let mut decoder = Decoder::new(1 << 20);
        decoder.push(b"\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec());
        assert!(decoder.take().unwrap_err().contains("metadata"));
        let mut decoder = Decoder::new(1 << 20);
        decoder.push([&bytes[..], b"\0"].concat());
        assert!(decoder.take().unwrap().is_some());
        assert!(decoder.take().unwrap_err().contains("behind its end"));
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_and_nothing_worse() {
        let mut random = random();
        let good = stream(&[batch(&["A", "B", "A"]), batch(&["C"])]);
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            let _ = read(&bytes, 1 << 20, || 1 << 20);
        }
    }
}
