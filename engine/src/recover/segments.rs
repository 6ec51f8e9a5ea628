//! The segment list against the segment directory.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::{Layout, quarantine};
use crate::catalog::Change;
use crate::error::{Error, Result};
use crate::format::names;
use crate::ingest::Publisher;
use crate::io::Components;
use crate::record::{Receipt, ReceiptKind, SegmentEntry};
use crate::segment;

/// Takes the entries whose file is gone or of another size off the list, and answers a receipt for each. No file is touched.
pub(super) fn drop_missing(components: &Components, layout: &Layout, publisher: &Publisher) -> Result<Vec<Receipt>> {
    let lengths = lengths(components, layout)?;
    let mut receipts = Vec::new();
    for entry in entries(publisher) {
        let name = segment::file_name(&entry);
        let detail = match lengths.get(&name) {
            Some(&len) if len == entry.bytes => continue,
            Some(len) => format!("the segment file has {len} bytes instead of {}", entry.bytes),
            None => "the segment file is missing".to_owned(),
        };
        drop_entry(publisher, &entry)?;
        receipts.push(Receipt {
            at_micros: components.clock.wall_micros(),
            kind: ReceiptKind::SegmentDamage,
            file: format!("{}/{name}", names::SEGMENTS),
            sequences: Some((entry.first_sequence, entry.last_sequence)),
            table: Some(entry.table),
            series: Vec::new(),
            times: Some(entry.times),
            bytes: entry.bytes,
            detail,
        });
    }
    Ok(receipts)
}

/// Clears the directory of files that no entry names. They were left by a seal or compaction that was cut short, and go; unless
/// there was `damage`, when they may be all there is, and are set aside.
pub(super) fn clear_unlisted(components: &Components, layout: &Layout, publisher: &Publisher, damage: bool) -> Result<()> {
    let listed: HashSet<String> = entries(publisher).iter().map(|entry| segment::file_name(entry)).collect();
    for name in lengths(components, layout)?.into_keys().filter(|name| !listed.contains(name)) {
        let path = layout.segments().join(&name);
        if segment::is_temporary(&name) || !damage {
            components.disk.remove(&path).map_err(|source| Error::io("remove", &path, source))?;
        } else {
            quarantine::move_file(components, layout, &path)?;
        }
    }
    Ok(())
}

/// Lengths of segment files and of unfinished ones, by name.
fn lengths(components: &Components, layout: &Layout) -> Result<BTreeMap<String, u64>> {
    let dir = layout.segments();
    let files = components.disk.list(&dir).map_err(|source| Error::io("list", &dir, source))?;
    let ours = |name: &str| segment::is_temporary(name) || segment::parse_file_name(Path::new(name)).is_some();
    Ok(files.into_iter().filter(|file| !file.is_dir && ours(&file.name)).map(|file| (file.name, file.len)).collect())
}

fn entries(publisher: &Publisher) -> Vec<Arc<SegmentEntry>> {
    publisher.registry.all().iter().flat_map(|table| table.snapshot().segments.to_vec()).collect()
}

fn drop_entry(publisher: &Publisher, entry: &SegmentEntry) -> Result<()> {
    if let Some(table) = publisher.registry.by_id(entry.table) {
        table.state.write().replace_segments(&[entry.id], []);
    }
    match publisher.catalog.get() {
        Some(catalog) => catalog.apply(catalog.applied(), &[Change::RemoveSegment(entry.id)]),
        None => Ok(()),
    }
}

/// The highest segment number in use.
pub(super) fn highest_number(components: &Components, layout: &Layout, publisher: &Publisher) -> Result<u64> {
    let on_disk = lengths(components, layout)?;
    let on_disk = on_disk.keys().filter_map(|name| segment::parse_file_name(Path::new(name))).map(|name| name.id.0);
    Ok(on_disk.chain(entries(publisher).iter().map(|entry| entry.id.0)).max().unwrap_or(0))
}
