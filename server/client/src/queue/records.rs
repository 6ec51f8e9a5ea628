//! Records on their way into a file.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_protocol::message::{DescribeTable, Message};

use super::format::{HEAD, Head};
use super::replay::Place;
use crate::{Error, Result};

/// Tables that are described in a file, by slot.
pub(super) type Described = BTreeMap<u16, Arc<DescribeTable>>;

/// Bytes of records that go behind those of a file.
#[derive(Debug)]
pub(super) struct Records {
    pub(super) bytes: Vec<u8>,
    /// Where in the file they begin.
    pub(super) at: u64,
    pub(super) described: Described,
}

impl Records {
    /// Of a file that has been written up to here, and in which these tables are described.
    pub(super) fn new(at: u64, described: Described) -> Self {
        Records { bytes: Vec::new(), at, described }
    }

    /// Adds a batch, behind the description of its table, unless that is there. Answers where it will be.
    pub(super) fn batch(&mut self, number: u64, frame: &[u8], table: &Arc<DescribeTable>) -> Result<Place> {
        if self.described.get(&table.slot) != Some(table) {
            self.record(0, &table_frame(table)?);
            self.described.insert(table.slot, table.clone());
        }
        let offset = self.end() + HEAD as u64;
        self.record(number, frame);
        Ok(Place { offset, length: frame.len(), table: table.clone() })
    }

    /// Where they end in the file.
    pub(super) fn end(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }

    /// They are in the file.
    pub(super) fn written(&mut self) {
        self.at = self.end();
        self.bytes.clear();
    }

    fn record(&mut self, number: u64, frame: &[u8]) {
        self.bytes.extend(Head::of(number, frame).bytes());
        self.bytes.extend(frame);
    }
}

fn table_frame(table: &DescribeTable) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let written = table.frame().and_then(|frame| frame.write(&mut bytes));
    written.map_err(|error| Error::Table { table: table.table.clone(), detail: error.to_string() })?;
    Ok(bytes)
}
