//! CSV as RFC 4180 has it, with line feeds: a header, then one line per row.
//!
//! A missing value is an empty cell; an empty text or byte string is `""`. Times are RFC 3339 in UTC, binary is base64,
//! numbers are as [`value::write_number`] writes them. Read again into the same columns it gives the same rows.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Sink;
use super::value::{self, Value};
use crate::failure::Outcome;

/// Writes batches as CSV.
pub(crate) struct Csv<W> {
    out: W,
    line: Vec<u8>,
}

impl<W: Write> Csv<W> {
    /// Begins with the header.
    pub(crate) fn new(mut out: W, schema: &Schema) -> Outcome<Self> {
        let mut line = Vec::new();
        for (position, field) in schema.fields().iter().enumerate() {
            if position > 0 {
                line.push(b',');
            }
            write_text(&mut line, field.name());
        }
        line.push(b'\n');
        out.write_all(&line)?;
        Ok(Csv { out, line })
    }
}

impl<W: Write> Sink for Csv<W> {
    fn write(&mut self, batch: &RecordBatch) -> Outcome {
        value::with_columns(batch, |columns| {
            for row in 0..batch.num_rows() {
                self.line.clear();
                for (position, column) in columns.iter().enumerate() {
                    if position > 0 {
                        self.line.push(b',');
                    }
                    if let Some(value) = column.get(row) {
                        write_cell(&mut self.line, value);
                    }
                }
                // A line with nothing on it would not count as a row.
                if self.line.is_empty() {
                    self.line.extend_from_slice(b"\"\"");
                }
                self.line.push(b'\n');
                self.out.write_all(&self.line)?;
            }
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) -> Outcome {
        Ok(self.out.flush()?)
    }
}

fn write_cell(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Text(text) => write_text(out, text),
        Value::Bytes(bytes) => write_text(out, &STANDARD.encode(bytes)),
        Value::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Value::Time(ticks, unit) => value::write_time(out, ticks, unit),
        number => value::write_number(out, number),
    }
}

/// Appends text, in quotes where it needs them. Blanks at the ends are quoted because some readers trim.
fn write_text(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let special = |byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    let bare = !bytes.is_empty() && !bytes.iter().any(special) && text.trim().len() == text.len();
    if bare {
        out.extend_from_slice(bytes);
        return;
    }
    out.push(b'"');
    for byte in bytes {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, StringArray};

    use super::super::value::tests::every_type;
    use super::*;

    fn csv(batch: &RecordBatch) -> String {
        let mut out = Vec::new();
        let mut sink = Box::new(Csv::new(&mut out, &batch.schema()).unwrap());
        sink.write(batch).unwrap();
        sink.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_type_as_csv() {
        assert_eq!(
            csv(&every_type()),
            "time,room,f64,f32,i64,u64,bool,text,bytes,dec\n\
             1970-01-01T00:00:01.5Z,\"A, \"\"b\"\"\",21.0,0.1,-9223372036854775808,18446744073709551615,true,\"\",AP8=,-0.05\n\
             1970-01-01T00:00:02Z,,,,,,,,,\n"
        );
    }

    #[test]
    fn a_lone_missing_value_is_still_a_line() {
        let batch =
            RecordBatch::try_from_iter([("mean(a,b)", Arc::new(Float64Array::from(vec![None, Some(1.5)])) as _)]).unwrap();
        assert_eq!(csv(&batch), "\"mean(a,b)\"\n\"\"\n1.5\n");
    }

    #[test]
    fn text_reads_back_with_any_csv_reader() {
        let texts = ["plain", "", " ", "a,b", "\"", "line\nbreak", "cr\rlf\r\n", "ünïcode", "#x", "'", "\t"];
        let array = StringArray::from(texts.to_vec());
        let batch =
            RecordBatch::try_from_iter([("a", Arc::new(array) as _), ("b", Arc::new(StringArray::from(texts.to_vec())) as _)])
                .unwrap();
        let text = csv(&batch);
        let read: Vec<String> =
            csv::Reader::from_reader(text.as_bytes()).records().map(|record| record.unwrap()[0].to_owned()).collect();
        assert_eq!(read, texts);
    }
}
