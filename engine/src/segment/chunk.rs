//! Writing one column chunk: its dictionary page, then its data pages.

use parquet::basic::Encoding as ParquetEncoding;
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};

use super::blocks::Sink;
use super::bounds::Bounds;
use super::choose::{Plan, compress_frames};
use super::codec;
use super::dictionary::FRAME_BYTES;
use super::footer::WrittenColumn;
use super::index::{ColumnLayout, DictionaryLayout, PageLayout};
use super::layout::PageSpan;
use super::values::ColumnKind;
use crate::error::{Error, Result};

pub(super) fn refused(error: ParquetError) -> Error {
    Error::Internal(format!("parquet: {error}"))
}

/// A dictionary, as Parquet lays it down.
pub(super) struct Entries<'a> {
    pub(super) count: u32,
    pub(super) plain: &'a [u8],
}

/// What was said about a page while its body was made.
pub(super) struct Body {
    /// Where in the body the definition levels end.
    pub(super) values_at: usize,
    /// Rows with a value.
    pub(super) present: usize,
    pub(super) bounds: Bounds,
}

/// Writes a column. `make` encodes the body of a page, uncompressed, into the buffer it is given.
pub(super) fn write(
    out: &mut TrackedWrite<&mut Sink>,
    kind: ColumnKind,
    pages: &[PageSpan],
    plan: Plan,
    entries: Option<Entries<'_>>,
    make: &mut dyn FnMut(usize, &mut Vec<u8>) -> Result<Body>,
) -> Result<WrittenColumn> {
    let Plan { encoding, mut compressor } = plan;
    let zstd = compressor.is_some();
    let mut dictionary = None;
    if let Some(entries) = entries {
        let frames = match &mut compressor {
            Some(compressor) => compress_frames(entries.plain, compressor)?,
            None => entries.plain.chunks(FRAME_BYTES).map(<[u8]>::to_vec).collect(),
        };
        let page = Page::DictionaryPage {
            buf: frames.concat().into(),
            num_values: entries.count,
            encoding: ParquetEncoding::PLAIN,
            is_sorted: false,
        };
        let (offset, header) = write_page(out, page, entries.plain.len())?;
        let frames = frames.iter().map(|frame| frame.len() as u32).collect();
        let plain = entries.plain.len() as u32;
        dictionary = Some(DictionaryLayout { offset, header, entries: entries.count, plain, frames });
    }
    let mut layouts = Vec::with_capacity(pages.len());
    let mut bounds = Vec::with_capacity(pages.len());
    let mut body = Vec::new();
    for (place, span) in pages.iter().enumerate() {
        let made = make(place, &mut body)?;
        let stored = match &mut compressor {
            Some(compressor) => compressor.compress(&codec::parts(&body, made.values_at, encoding, made.present))?,
            None => body.clone(),
        };
        let sizes = (stored.len() as u32, body.len() as u32);
        let page = Page::DataPage {
            buf: stored.into(),
            num_values: span.rows,
            encoding: encoding.parquet(),
            def_level_encoding: ParquetEncoding::RLE,
            rep_level_encoding: ParquetEncoding::RLE,
            statistics: None,
        };
        let (offset, header) = write_page(out, page, body.len())?;
        layouts.push(PageLayout { offset, header, stored: sizes.0, plain: sizes.1, present: made.present as u32 });
        bounds.push(made.bounds);
    }
    Ok(WrittenColumn { layout: ColumnLayout { kind, encoding, zstd, dictionary, pages: layouts }, bounds })
}

/// Writes one page; returns where its header begins and how long that is.
fn write_page(out: &mut TrackedWrite<&mut Sink>, page: Page, plain: usize) -> Result<(u64, u32)> {
    let body = page.buffer().len() as u64;
    let spec = SerializedPageWriter::new(out).write_page(CompressedPage::new(page, plain)).map_err(refused)?;
    Ok((spec.offset, (spec.bytes_written - body) as u32))
}
