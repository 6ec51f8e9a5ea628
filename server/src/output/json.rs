//! JSON lines: one object per row, its keys in the order of the columns, missing values as `null`.
//!
//! Times are RFC 3339 in UTC. Integers and decimals are numbers with all their digits, floats numbers in their shortest exact
//! form; what JSON has no number for is text: `"NaN"`, `"inf"`, `"-inf"`. Binary is base64.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Sink;
use super::value::{self, Value};
use crate::failure::Outcome;

/// Writes batches as JSON lines.
pub(crate) struct JsonLines<W> {
    out: W,
    /// `{"time":`, `,"room":`, …
    keys: Vec<Vec<u8>>,
    line: Vec<u8>,
}

impl<W: Write> JsonLines<W> {
    pub(crate) fn new(out: W, schema: &Schema) -> Self {
        let key = |(position, field): (usize, &std::sync::Arc<arrow::datatypes::Field>)| {
            let mut key = vec![if position == 0 { b'{' } else { b',' }];
            write_text(&mut key, field.name());
            key.push(b':');
            key
        };
        JsonLines { out, keys: schema.fields().iter().enumerate().map(key).collect(), line: Vec::new() }
    }
}

impl<W: Write> Sink for JsonLines<W> {
    fn write(&mut self, batch: &RecordBatch) -> Outcome {
        value::with_columns(batch, |columns| {
            for row in 0..batch.num_rows() {
                self.line.clear();
                for (key, column) in self.keys.iter().zip(columns) {
                    self.line.extend_from_slice(key);
                    match column.get(row) {
                        Some(value) => write_value(&mut self.line, value),
                        None => self.line.extend_from_slice(b"null"),
                    }
                }
                self.line.extend_from_slice(b"}\n");
                self.out.write_all(&self.line)?;
            }
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) -> Outcome {
        Ok(self.out.flush()?)
    }
}

fn write_value(out: &mut Vec<u8>, value: Value<'_>) {
    let finite = match value {
        Value::Float64(value) => value.is_finite(),
        Value::Float32(value) => value.is_finite(),
        _ => true,
    };
    match value {
        Value::Text(text) => write_text(out, text),
        Value::Bytes(bytes) => write_text(out, &STANDARD.encode(bytes)),
        Value::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Value::Time(ticks, unit) => {
            out.push(b'"');
            value::write_time(out, ticks, unit);
            out.push(b'"');
        }
        number if finite => value::write_number(out, number),
        number => {
            out.push(b'"');
            value::write_number(out, number);
            out.push(b'"');
        }
    }
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    // Text always has a JSON form, and a Vec takes all of it.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float32Array, Float64Array};

    use super::super::value::tests::every_type;
    use super::*;

    fn json(batch: &RecordBatch) -> String {
        let mut out = Vec::new();
        let mut sink = Box::new(JsonLines::new(&mut out, &batch.schema()));
        sink.write(batch).unwrap();
        sink.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_type_as_json() {
        assert_eq!(
            json(&every_type()),
            concat!(
                r#"{"time":"1970-01-01T00:00:01.5Z","room":"A, \"b\"","f64":21.0,"f32":0.1,"i64":-9223372036854775808,"#,
                r#""u64":18446744073709551615,"bool":true,"text":"","bytes":"AP8=","dec":-0.05}"#,
                "\n",
                r#"{"time":"1970-01-01T00:00:02Z","room":null,"f64":null,"f32":null,"i64":null,"u64":null,"bool":null,"text":null,"bytes":null,"dec":null}"#,
                "\n"
            )
        );
    }

    #[test]
    fn floats_without_a_json_number_are_text() {
        let doubles = Float64Array::from(vec![f64::NAN, f64::INFINITY, 1e300]);
        let singles = Float32Array::from(vec![f32::NEG_INFINITY, 1.0, -0.0]);
        let batch = RecordBatch::try_from_iter([("a\"b", Arc::new(doubles) as _), ("c", Arc::new(singles) as _)]).unwrap();
        assert_eq!(
            json(&batch),
            "{\"a\\\"b\":\"NaN\",\"c\":\"-inf\"}\n{\"a\\\"b\":\"inf\",\"c\":1.0}\n{\"a\\\"b\":1e300,\"c\":-0.0}\n"
        );
    }
}
