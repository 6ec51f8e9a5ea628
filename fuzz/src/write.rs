//! Bodies of `POST /write`: line protocol of many tables, of which each is made on first sight. What is taken is sound; and the same
//! body for the tables that it made comes to the same rows, which makes it safe to send it again.

use std::collections::HashMap;
use std::sync::Arc;

use alluvium::{Error, TableSchema};
use alluvium_server::internals::{Form, Written, body, write};

/// One input: a body, behind a byte that says in which unit its times are.
pub fn run(data: &[u8]) {
    let Some((unit, data)) = data.split_first() else { return };
    let found = match body(data, *unit, &HashMap::new()) {
        Ok(found) => found,
        Err(Error::Invalid(_) | Error::Limit { .. }) => return,
        Err(error) => panic!("{error:?}"),
    };
    for (table, batch) in &found.rows {
        assert!(batch.num_rows() > 0, "a table is made for nothing");
        crate::imports::sound_rows(table, batch);
    }
    let made = |found: &Written| -> HashMap<String, Arc<TableSchema>> {
        found.rows.iter().map(|(table, _)| (table.name.clone(), table.clone())).collect()
    };
    let tables = made(&found);
    assert_eq!(tables.len(), found.rows.len(), "a table comes twice");
    let again = body(data, *unit, &tables).expect("it was taken before");
    assert_eq!((again.made, again.dropped), (0, found.dropped));
    assert_eq!(made(&again), tables);
    assert_eq!(told(&again), told(&found));
}

/// The rows of each table, as results are written.
fn told(written: &Written) -> Vec<(String, Vec<u8>)> {
    let told = |(table, batch): &(Arc<TableSchema>, _)| {
        (table.name.clone(), write(Form::JsonLines, table, std::slice::from_ref(batch)).expect("rows can be written"))
    };
    written.rows.iter().map(told).collect()
}
