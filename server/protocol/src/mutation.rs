//! Batches of mutations on a writer stream: what is done to documents, key-value pairs and queues, all of it or nothing.
//!
//! They have numbers like batches of rows, and count once as these do.

use serde::{Deserialize, Serialize};

/// A batch of mutations, whose kind is bulk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutationBatch {
    /// From 1, rising by one within a writer.
    pub number: u64,
    /// What is done, in this order and together.
    pub mutations: Vec<Mutation>,
}

/// One thing that is done. On the wire the place in this list is its number, so nothing is ever put in between: more of them is
/// another kind of batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mutation {
    /// Puts a document, in the place of any of its id.
    PutDocument {
        /// The collection.
        collection: String,
        /// The id; empty for a new one.
        id: String,
        /// The document, as JSON.
        json: String,
        /// What has to be true of it.
        condition: Condition,
        /// How long it lasts, in microseconds; for good without.
        time_to_live: Option<u64>,
    },
    /// Changes a document by a JSON merge patch (RFC 7396).
    MergeDocument {
        /// The collection.
        collection: String,
        /// The id.
        id: String,
        /// The patch, as JSON.
        patch: String,
        /// What has to be true of it.
        condition: Condition,
    },
    /// Deletes a document.
    DeleteDocument {
        /// The collection.
        collection: String,
        /// The id.
        id: String,
        /// What has to be true of it.
        condition: Condition,
    },
    /// Puts a key-value pair, in the place of any of its key.
    PutPair {
        /// The key.
        key: String,
        /// The value.
        value: Vec<u8>,
        /// What has to be true of it.
        condition: Condition,
        /// How long it lasts, in microseconds; for good without.
        time_to_live: Option<u64>,
    },
    /// Removes a key-value pair.
    DeletePair {
        /// The key.
        key: String,
        /// What has to be true of it.
        condition: Condition,
    },
    /// Adds to a counter, which begins at 0.
    Increment {
        /// The key.
        key: String,
        /// How much.
        by: i64,
    },
    /// Pushes an item to a queue.
    Push {
        /// The queue.
        queue: String,
        /// What is pushed.
        payload: Vec<u8>,
        /// Higher ones come first.
        priority: u8,
        /// When it is due, in microseconds UTC; at once without.
        due: Option<i64>,
        /// What makes it the same as another of the queue; none if empty.
        deduplication: String,
    },
}

/// What has to be true of something for it to be changed. If it is not, the batch is refused whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// Nothing.
    Any,
    /// It is not there.
    Absent,
    /// It is there, in this revision.
    Revision(u64),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::frozen;

    fn text(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn the_bytes_of_mutations_are_frozen() {
        let one = |mutation| MutationBatch { number: 2, mutations: vec![mutation] };
        let (collection, id) = (text("c"), text("i"));
        frozen(
            one(Mutation::PutDocument {
                collection: collection.clone(),
                id: id.clone(),
                json: text("{}"),
                condition: Condition::Revision(300),
                time_to_live: Some(128),
            }),
            b"\x02\x01\x00\x01c\x01i\x02{}\x02\xac\x02\x01\x80\x01",
        );
        frozen(
            one(Mutation::MergeDocument {
                collection: collection.clone(),
                id: id.clone(),
                patch: text("1"),
                condition: Condition::Any,
            }),
            b"\x02\x01\x01\x01c\x01i\x011\x00",
        );
        frozen(one(Mutation::DeleteDocument { collection, id, condition: Condition::Any }), b"\x02\x01\x02\x01c\x01i\x00");
        let put = Mutation::PutPair { key: text("k"), value: vec![0xff, 0], condition: Condition::Absent, time_to_live: None };
        frozen(one(put), b"\x02\x01\x03\x01k\x02\xff\x00\x01\x00");
        frozen(one(Mutation::DeletePair { key: text("k"), condition: Condition::Any }), b"\x02\x01\x04\x01k\x00");
        frozen(one(Mutation::Increment { key: text("k"), by: -2 }), b"\x02\x01\x05\x01k\x03");
        let push = Mutation::Push {
            queue: text("q"),
            payload: b"p".to_vec(),
            priority: 200,
            due: Some(-1),
            deduplication: String::new(),
        };
        frozen(one(push), b"\x02\x01\x06\x01q\x01p\xc8\x01\x01\x00");
        frozen(MutationBatch { number: 1, mutations: Vec::new() }, b"\x01\x00");
    }
}
