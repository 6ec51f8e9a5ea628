//! Frames, messages and rows as they come from the network. Nothing panics; frames come out the same however their bytes come in; what
//! is read is written as the same.

use alluvium_protocol::Malformed;
use alluvium_protocol::frame::{Frame, Frames, HEADER_BYTES};
use alluvium_protocol::message::{
    Applied, BatchRefused, DescribeTable, Failed, Hello, Message, OpenWriter, Opened, Skip, Welcome,
};
use alluvium_protocol::mutation::MutationBatch;
use alluvium_protocol::rows::{Layout, ROW_BATCH, Reader, Row, Writer, split};

/// Bytes of bulk that the stream of an input allows.
const BULK: usize = 2_048;

/// One input: the bytes of a stream, behind one that says in which pieces they come.
pub fn run(data: &[u8]) {
    let Some((pieces, data)) = data.split_first() else { return };
    let whole = frames(&[data]);
    let parts: Vec<&[u8]> = data.chunks(usize::from(*pieces) + 1).collect();
    assert_eq!(frames(&parts), whole);
    let (frames, _) = whole;
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| frame.write(&mut bytes).expect("one that was read"));
    assert!(data.starts_with(&bytes));
    let mut layout = None;
    for frame in &frames {
        message(frame);
        if let Ok(table) = DescribeTable::read(frame) {
            layout = Layout::of(&table);
        }
        let _ = split(frame.kind, &frame.payload);
        if let Some(layout) = layout.as_ref().filter(|_| frame.kind == ROW_BATCH) {
            rows(layout, frame);
        }
    }
}

/// The frames of a stream that comes in pieces, and how it ends.
fn frames(pieces: &[&[u8]]) -> (Vec<Frame>, Result<(), Malformed>) {
    let (mut frames, mut found) = (Frames::new(BULK), Vec::new());
    for piece in pieces {
        frames.push(piece);
        loop {
            match frames.take() {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(error) => return (found, Err(error)),
            }
        }
    }
    let ended = frames.finish();
    let left = pieces.iter().map(|piece| piece.len()).sum::<usize>()
        - found.iter().map(|frame| HEADER_BYTES + frame.payload.len()).sum::<usize>();
    assert_eq!(ended.is_ok(), left == 0);
    (found, ended)
}

/// Reads a frame as a message of every kind.
fn message(frame: &Frame) {
    again::<Hello>(frame);
    again::<Welcome>(frame);
    again::<Failed>(frame);
    again::<OpenWriter>(frame);
    again::<Opened>(frame);
    again::<DescribeTable>(frame);
    again::<Applied>(frame);
    again::<BatchRefused>(frame);
    again::<Skip>(frame);
    again::<MutationBatch>(frame);
}

fn again<M: Message + PartialEq + std::fmt::Debug>(frame: &Frame) {
    if let Ok(message) = M::read(frame) {
        // Not always the same bytes: a varint may be longer than it has to be.
        let written = message.frame().expect("one that was read");
        assert!(written.payload.len() <= frame.payload.len());
        assert_eq!(M::read(&written).as_ref(), Ok(&message));
    }
}

/// Rows that can all be read are written as the same bytes.
fn rows(layout: &Layout, frame: &Frame) {
    let Ok(mut reader) = Reader::new(layout, frame.kind, &frame.payload) else { return };
    let head = reader.head();
    let (mut writer, mut row) = (Writer::new(layout, head.number, head.slot), Row::default());
    loop {
        match reader.read(&mut row) {
            Ok(true) => writer.row(row.time, &row.tags, &row.values).expect("one that was read"),
            Ok(false) => break,
            Err(_) => return,
        }
        // A row without anything takes eight bytes, so there are no more than fit.
        assert!(writer.bytes() <= frame.payload.len());
    }
    assert_eq!(&writer.finish(), frame);
}
