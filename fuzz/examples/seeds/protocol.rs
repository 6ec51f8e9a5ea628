//! A stream of frames of every kind.

use alluvium_protocol::code::Code;
use alluvium_protocol::message::{
    Applied, BatchRefused, DescribeTable, Failed, Field, Hello, Message, OpenWriter, Opened, Skip, Welcome,
};
use alluvium_protocol::mutation::{Condition, Mutation, MutationBatch};
use alluvium_protocol::rows::{Layout, Value, Writer};

use crate::Seeds;

pub fn seeds() -> Seeds {
    vec![("greeting", greeting()), ("writer", writer()), ("mutations", mutations()), ("answers", answers())]
}

/// A stream, behind the byte that says in which pieces it comes.
fn stream(messages: &[&dyn Fn() -> alluvium_protocol::frame::Frame]) -> Vec<u8> {
    let mut bytes = vec![16];
    messages.iter().for_each(|message| message().write(&mut bytes).expect("small"));
    bytes
}

fn greeting() -> Vec<u8> {
    let hello = Hello { minor: 0, features: 1, agent: "pump".to_owned() };
    let (gateway, principal) = ("gateway".to_owned(), "pump-7".to_owned());
    let welcome = Welcome { minor: 0, features: 0, gateway, principal, bulk_bytes: 1 << 20, streams: 64, wall_micros: 1 };
    stream(&[&|| hello.frame().expect("small"), &|| welcome.frame().expect("small")])
}

fn writer() -> Vec<u8> {
    let field = |name: &str, kind| Field { name: name.to_owned(), kind, scale: 0 };
    let table = DescribeTable {
        slot: 1,
        table: "air".to_owned(),
        tags: vec!["room".to_owned(), "floor".to_owned()],
        fields: (0..8).map(|kind| field("f", kind)).collect(),
        time_unit: 0,
        create: true,
    };
    let layout = Layout::of(&table).expect("known types");
    let batch = || {
        let values = [
            Some(Value::Float64(1.5)),
            Some(Value::Float32(-1.5)),
            Some(Value::Int64(-7)),
            Some(Value::Uint64(7)),
            Some(Value::Bool(true)),
            Some(Value::Utf8("text")),
            Some(Value::Binary(&[0, 1])),
            Some(Value::Decimal(150)),
        ];
        let mut rows = Writer::new(&layout, 1, 1);
        rows.row(1_000, &[Some("A"), None], &values).expect("fits");
        rows.row(2_000, &[None, Some("")], &[None; 8]).expect("fits");
        rows.finish()
    };
    let open = OpenWriter { writer: [7; 16], acknowledged: Some(3) };
    stream(&[&|| open.frame().expect("small"), &|| table.frame().expect("small"), &batch, &|| {
        Skip { number: 2 }.frame().expect("small")
    }])
}

fn mutations() -> Vec<u8> {
    let (collection, id, key) = (|| "c".to_owned(), || "i".to_owned(), || "k".to_owned());
    let mutations = vec![
        Mutation::PutDocument {
            collection: collection(),
            id: id(),
            json: "{}".to_owned(),
            condition: Condition::Revision(300),
            time_to_live: Some(1 << 40),
        },
        Mutation::MergeDocument { collection: collection(), id: id(), patch: "1".to_owned(), condition: Condition::Any },
        Mutation::DeleteDocument { collection: collection(), id: id(), condition: Condition::Absent },
        Mutation::PutPair { key: key(), value: vec![0, 255], condition: Condition::Any, time_to_live: None },
        Mutation::DeletePair { key: key(), condition: Condition::Any },
        Mutation::Increment { key: key(), by: -7 },
        Mutation::Push {
            queue: "q".to_owned(),
            payload: b"open".to_vec(),
            priority: 9,
            due: Some(1_700_000_000_000_000),
            deduplication: "d".to_owned(),
        },
    ];
    stream(&[&|| MutationBatch { number: 1, mutations: mutations.clone() }.frame().expect("small")])
}

fn answers() -> Vec<u8> {
    let failed = Failed::new(Code::BadRows, "row 3: co2 is no number");
    stream(&[
        &|| Opened { applied_through: 3, window_bytes: 1 << 20 }.frame().expect("small"),
        &|| Applied { through: 4 }.frame().expect("small"),
        &|| BatchRefused { number: 5, failed: failed.clone() }.frame().expect("small"),
        &|| failed.frame().expect("small"),
    ])
}
