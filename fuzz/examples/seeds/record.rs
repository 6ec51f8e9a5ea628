//! One of each form.

use alluvium::Profile;
use alluvium::internals::{Form, again};
use alluvium::record::Record;
use alluvium_fuzz::record::choice;

use crate::{Seeds, samples};

pub fn seeds() -> Seeds {
    let mut seeds = Seeds::new();
    let mut add = |name, form: Form, bytes: Vec<u8>| {
        assert!(again(form, &bytes).is_some(), "{name} is valid");
        seeds.push((name, [vec![choice(form)], bytes].concat()));
    };
    let names = [
        "create-table",
        "create-series",
        "put-rows",
        "alter-table",
        "create-more-series",
        "put-more-rows",
        "delete-rows",
        "delete-all",
        "receipt-record",
        "sealed-empty",
        "sealed",
        "compacted",
        "transaction",
    ];
    for (name, record) in names.into_iter().zip(samples::records()) {
        let payload = record.encode().expect("a small record");
        match &record {
            Record::CreateTable(_) => add("table", Form::Table, payload.clone()),
            Record::DeleteRows(_) if name == "delete-rows" => add("deletion", Form::Deletion, payload.clone()),
            Record::Receipt(_) => add("receipt", Form::Receipt, payload.clone()),
            _ => {}
        }
        add(name, Form::Record(record.kind().code()), payload);
    }
    add("segment", Form::Segment, entry());
    add("series", Form::Series, b"\x02A\x00\x06north".to_vec());
    add("index", Form::Index, crate::segment::sample(&[0, 4, 5], 2, 40, Profile::Open).index());
    add("long-index", Form::Index, crate::segment::sample(&[0, 2], 1, 600, Profile::Compact).index());
    // A record, rows in segments, a transaction with such, and what is lost: the example of FORMAT.md.
    let history = b"\x08\0\x03abc\0\x01\x0c\x02\x02\x07\xac\x02\x01\x01\xe9\x07\x01\0\0\x89\0\x09\x01\x07\xac\x02\x01\x01\xe9\x07t\xff\x01\x01\x01";
    add("history", Form::History, history.to_vec());
    seeds
}

/// A seal of one segment is `through`, a count of one, and the segment.
fn entry() -> Vec<u8> {
    let sealed = alluvium::record::Sealed { through: 1, segments: vec![samples::entry()] };
    Record::Sealed(sealed).encode().expect("a small record").split_off(2)
}
