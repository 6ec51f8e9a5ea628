//! What is forged, and how. Checksums are computed here from FORMAT.md alone.

use std::path::{Path, PathBuf};

use fastrand::Rng;

use crate::campaign::flips;
use crate::campaign::sample::Sample;
use crate::sim::{Content, Image, ROOT};

const PAGE: usize = 4_096;
/// Bytes before the frames of a group, and before the payload of a frame.
const GROUP_HEADER: usize = 48;
const FRAME_HEADER: usize = 18;

/// What is forged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    LogHeader,
    LogGroup,
    LogFrame,
    Segment,
    Page,
    Journal,
    Snapshot,
}

/// What lies on the disk after one forgery.
pub(super) fn forge(sample: &Sample, kind: Kind, rng: &mut Rng) -> Image {
    let mut image = sample.image.clone();
    let pick = |within: &str, ends: &str, rng: &mut Rng| -> PathBuf {
        let files = sample.files(within);
        let fitting: Vec<_> = files.iter().filter(|(file, _)| file.to_string_lossy().contains(ends)).collect();
        fitting[rng.usize(0..fitting.len())].0.clone()
    };
    match kind {
        Kind::LogHeader => edit(&mut image, &pick("log", ".log", rng), |bytes| log_header(bytes, rng)),
        Kind::LogGroup => edit(&mut image, &pick("log", ".log", rng), |bytes| log_group(bytes, rng)),
        Kind::LogFrame => edit(&mut image, &pick("log", ".log", rng), |bytes| log_frame(bytes, rng)),
        Kind::Segment => segment(&mut image, &pick("segments", ".parquet", rng), rng),
        Kind::Page => page(&mut image, rng),
        Kind::Journal => edit(&mut image, &catalog("catalog.sums"), |bytes| {
            let (start, end) = records(bytes)[0];
            mangle(&mut bytes[start + 8..end - 4], rng);
            let crc = crc32fast::hash(&bytes[start..end - 4]);
            bytes[end - 4..end].copy_from_slice(&crc.to_le_bytes());
        }),
        Kind::Snapshot => {
            image.files.remove(&catalog("catalog.pages"));
            edit(&mut image, &pick("catalog", "snapshot-", rng), |bytes| snapshot(bytes, rng));
        }
    }
    image
}

fn catalog(name: &str) -> PathBuf {
    Path::new(ROOT).join("catalog").join(name)
}

fn edit(image: &mut Image, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = image.files[path].to_vec();
    change(&mut bytes);
    image.files.insert(path.to_owned(), Content::from(&bytes[..]));
}

/// Turns a bit, or puts an extreme in the place of some bytes.
fn mangle(bytes: &mut [u8], rng: &mut Rng) {
    if bytes.is_empty() {
        return;
    }
    let at = rng.usize(0..bytes.len());
    match rng.u8(0..4) {
        0 => bytes[at] = 0xff,
        1 => bytes[at..].iter_mut().take(8).for_each(|byte| *byte = 0xff),
        2 => bytes[at] = 0,
        _ => bytes[at] ^= 1 << rng.u8(0..8),
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn half(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

fn seeded(parts: &[&[u8]]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().to_le_bytes()
}

fn log_header(bytes: &mut [u8], rng: &mut Rng) {
    mangle(&mut bytes[16..40], rng);
    let crc = seeded(&[&bytes[16..40]]);
    bytes[12..16].copy_from_slice(&crc);
    if rng.bool() {
        bytes.copy_within(0..40, PAGE);
    }
}

/// Where the groups of a log file begin.
pub(in crate::campaign) fn groups(bytes: &[u8]) -> Vec<usize> {
    (2 * PAGE..bytes.len()).step_by(PAGE).filter(|at| bytes[*at..].starts_with(b"ALVG")).collect()
}

/// The length of the group that begins there, without its padding.
pub(in crate::campaign) fn group_len(bytes: &[u8], start: usize) -> usize {
    word(bytes, start + 8) as usize
}

fn log_group(bytes: &mut [u8], rng: &mut Rng) {
    let salt: [u8; 8] = bytes[32..40].try_into().expect("eight bytes");
    let groups = groups(bytes);
    let Some(&start) = groups.get(rng.usize(0..groups.len().max(1))) else { return };
    let header = &mut bytes[start..start + GROUP_HEADER];
    mangle(&mut header[8..], rng);
    let crc = seeded(&[&salt, &header[8..]]);
    header[4..8].copy_from_slice(&crc);
}

fn log_frame(bytes: &mut [u8], rng: &mut Rng) {
    let salt: [u8; 8] = bytes[32..40].try_into().expect("eight bytes");
    let mut frames = Vec::new();
    for start in groups(bytes) {
        let (end, mut at) = (start + group_len(bytes, start), start + GROUP_HEADER);
        while at < end {
            frames.push((at, start));
            at += FRAME_HEADER + half(bytes, at);
        }
    }
    let Some(&(at, group)) = frames.get(rng.usize(0..frames.len().max(1))) else { return };
    let number: [u8; 8] = bytes[group + 32..group + 40].try_into().expect("eight bytes");
    let end = at + FRAME_HEADER + half(bytes, at);
    let frame = &mut bytes[at..end];
    // Mostly the record; now and then kind, flags or sequence.
    let from = if rng.u8(0..8) == 0 { 8 } else { FRAME_HEADER };
    mangle(&mut frame[from..], rng);
    let crc = seeded(&[&salt, &number, &frame[0..4], &frame[8..]]);
    frame[4..8].copy_from_slice(&crc);
}

/// The segment goes under the name that its new bytes have, and nothing is left that remembers the old ones.
fn segment(image: &mut Image, path: &Path, rng: &mut Rng) {
    let mut bytes = image.files.remove(path).expect("a segment").to_vec();
    let from = if rng.bool() { 0 } else { flips::footer_start(&bytes) };
    for _ in 0..rng.usize(1..4) {
        mangle(&mut bytes[from..], rng);
    }
    let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
    let (stem, _) = name.rsplit_once('-').expect("a hash");
    let name = format!("{stem}-{}.parquet", blake3::hash(&bytes).to_hex());
    image.files.insert(path.with_file_name(name), Content::from(&bytes[..]));
    image.files.retain(|path, _| !path.starts_with(Path::new(ROOT).join("catalog")));
}

/// Records of the journal: where each begins and ends.
fn records(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut records = Vec::new();
    let mut at = 0;
    while at + 40 <= bytes.len() && bytes[at..].starts_with(b"ALVSUMS1") {
        let end = at + 40 + 12 * half(bytes, at + 36) + 4;
        records.push((at, end));
        at = end.next_multiple_of(PAGE);
    }
    records
}

/// Some pages of the catalog change, and what the journal says of them.
fn page(image: &mut Image, rng: &mut Rng) {
    let mut journal = image.files[&catalog("catalog.sums")].to_vec();
    let mut pages = image.files[&catalog("catalog.pages")].to_vec();
    // The last word on each page.
    let mut last = std::collections::BTreeMap::new();
    for (start, end) in records(&journal) {
        (start + 40..end - 4).step_by(12).for_each(|entry| {
            last.insert(half(&journal, entry), (entry, start, end));
        });
    }
    let used: Vec<_> = last.values().filter(|(entry, ..)| half(&journal, entry + 4) != u32::MAX as usize).collect();
    for _ in 0..rng.usize(1..6) {
        let &(entry, start, end) = used[rng.usize(0..used.len())];
        let slot = half(&journal, entry + 4) * PAGE;
        let page = &mut pages[slot..slot + PAGE];
        mangle(page, rng);
        let crc = crc32fast::hash(page);
        journal[entry + 8..entry + 12].copy_from_slice(&crc.to_le_bytes());
        let crc = crc32fast::hash(&journal[start..end - 4]);
        journal[end - 4..end].copy_from_slice(&crc.to_le_bytes());
    }
    image.files.insert(catalog("catalog.sums"), Content::from(&journal[..]));
    image.files.insert(catalog("catalog.pages"), Content::from(&pages[..]));
}

/// The bytes of the first chunk change, and what vouches for them.
fn snapshot(bytes: &mut [u8], rng: &mut Rng) {
    let (header, trailer) = (20, bytes.len() - 64);
    let stored = half(bytes, header + 8);
    mangle(&mut bytes[header + 16..header + 16 + stored], rng);
    let crc = seeded(&[&bytes[header..header + 12], &bytes[header + 16..header + 16 + stored]]);
    bytes[header + 12..header + 16].copy_from_slice(&crc);
    let hash = blake3::hash(&bytes[..trailer]);
    bytes[trailer + 32..].copy_from_slice(hash.as_bytes());
    let crc = seeded(&[&bytes[trailer..trailer + 12], &bytes[trailer + 16..]]);
    bytes[trailer + 12..trailer + 16].copy_from_slice(&crc);
}
