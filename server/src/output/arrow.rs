//! Arrow IPC, as a stream or as a file.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::writer::{FileWriter, StreamWriter};

use super::Sink;
use crate::failure::Outcome;

/// The form for pipes.
pub(crate) struct ArrowStream<W: Write>(StreamWriter<W>);

impl<W: Write> ArrowStream<W> {
    pub(crate) fn new(out: W, schema: &Schema) -> Outcome<Self> {
        Ok(ArrowStream(StreamWriter::try_new(out, schema)?))
    }
}

impl<W: Write> Sink for ArrowStream<W> {
    fn write(&mut self, batch: &RecordBatch) -> Outcome {
        Ok(self.0.write(batch)?)
    }

    fn finish(mut self: Box<Self>) -> Outcome {
        self.0.finish()?;
        Ok(self.0.get_mut().flush()?)
    }
}

/// The form for files: ends with a directory of its batches.
pub(crate) struct ArrowFile<W: Write>(FileWriter<W>);

impl<W: Write> ArrowFile<W> {
    pub(crate) fn new(out: W, schema: &Schema) -> Outcome<Self> {
        Ok(ArrowFile(FileWriter::try_new(out, schema)?))
    }
}

impl<W: Write> Sink for ArrowFile<W> {
    fn write(&mut self, batch: &RecordBatch) -> Outcome {
        Ok(self.0.write(batch)?)
    }

    fn finish(mut self: Box<Self>) -> Outcome {
        self.0.finish()?;
        Ok(self.0.get_mut().flush()?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use arrow::ipc::reader::{FileReader, StreamReader};

    use super::super::value::tests::every_type;
    use super::*;

    #[test]
    fn a_stream_and_a_file_give_the_batches_back() {
        let batch = every_type();
        let (mut stream, mut file) = (Vec::new(), Vec::new());
        let mut sinks: [Box<dyn Sink>; 2] = [
            Box::new(ArrowStream::new(&mut stream, &batch.schema()).unwrap()),
            Box::new(ArrowFile::new(&mut file, &batch.schema()).unwrap()),
        ];
        for sink in &mut sinks {
            sink.write(&batch).unwrap();
        }
        for sink in sinks {
            sink.finish().unwrap();
        }
        let streamed: Vec<_> = StreamReader::try_new(Cursor::new(stream), None).unwrap().map(Result::unwrap).collect();
        let filed: Vec<_> = FileReader::try_new(Cursor::new(file), None).unwrap().map(Result::unwrap).collect();
        assert_eq!(streamed, std::slice::from_ref(&batch));
        assert_eq!(filed, [batch]);
    }
}
