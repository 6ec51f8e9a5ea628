//! What tables are made of: the objects that together are all of their rows, without a database of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium::TableSchema;
use jiff::Timestamp;

use super::error::NotRestored;
use super::inventory::{Inventory, Segment};
use super::lineage::{Lineage, in_words};
use super::plan::{Plan, Without};
use super::stage::Stage;
use super::{Options, Progress, fetch_metadata, parts, read};
use crate::objects::Target;
use crate::prove::Missing;
use crate::remote::{Erasure, Incarnation};

/// Of what a gateway's tables consist, as of a cut.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Contents {
    /// The gateway.
    pub gateway: String,
    /// The incarnation of the cut.
    pub incarnation: Incarnation,
    /// The cut: everything up to it counts.
    pub cut: u64,
    /// Its last record.
    pub record: u64,
    /// When it was sealed, by the gateway's clock.
    pub sealed_at: Timestamp,
    /// Tables that were not dropped, by name.
    pub tables: Vec<TableContents>,
    /// What was announced and is not there.
    pub missing: Vec<Missing>,
    /// What is wrong with the bucket besides, in words.
    pub problems: Vec<String>,
}

/// Of what a table consists.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TableContents {
    /// Its name and its columns.
    pub schema: TableSchema,
    /// Objects with its rows, in the order of their records. Of two rows of a series and time the one in the later object counts.
    pub segments: Vec<Segment>,
    /// Deletions that take rows of these: those in objects whose last record is before the deletion's.
    pub erasures: Vec<Erasure>,
}

/// Asks a target of what a gateway's tables consist. `options` say of which gateway, branch and time; nothing is made of them, and what is
/// fetched – metadata, no rows – goes when the answer comes.
///
/// ```
/// use std::sync::Arc;
///
/// use alluvium::{Database, FieldType, RowBuilder, TableSpec};
/// use alluvium_sync::objects::{Target, Throttle};
/// use alluvium_sync::restore::{Options, contents};
/// use alluvium_sync::worker::{Policy, Worker};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let db = Arc::new(Database::open(dir.path().join("data"))?);
/// let table = db.create_table(TableSpec::new("air").field("co2", FieldType::Float64))?;
/// let mut rows = RowBuilder::new(table);
/// rows.row(1_700_000_000_000_000).value("co2", 612.5)?;
/// db.append("air", &rows.finish()?)?;
/// let target = Target::in_memory(Throttle::new(None, None));
/// Worker::new(db, "bucket", "pump house", target.clone(), Policy::default(), &dir.path().join("scratch"))?.run_once().await;
///
/// let contents = contents(&target, &Options::default(), &mut |_| {}).await?;
/// assert_eq!((contents.cut, contents.tables[0].schema.name.as_str()), (1, "air"));
/// assert_eq!(contents.tables[0].segments.len(), 1);
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`NotRestored`], which says what to do.
pub async fn contents(
    target: &Target,
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Contents, NotRestored> {
    let dir = tempfile::tempdir().map_err(NotRestored::file("make", std::env::temp_dir()))?;
    let root = dir.path().to_owned();
    let stage = tokio::task::spawn_blocking(move || Stage::open(&root)).await??;
    let mut inventory = Inventory::take(target, options.gateway.as_deref(), progress).await?;
    let proof = inventory.prover.look();
    let mut lineage = Lineage::choose(&inventory.prover, &proof, options)?;
    let metadata = fetch_metadata(target, &stage, &mut lineage, &inventory.gateway, options, progress).await?;
    let mut told = read(&Arc::new(stage), &metadata).await?;
    let without = Without { tables: parts::dropped(&lineage, &told).collect(), ..Without::default() };
    let plan = Plan::choose(&lineage, &inventory.segments, &without, options)?;
    let Some(((incarnation, cut), last)) = lineage.last() else {
        return Err(NotRestored::NoGateway { wanted: Some(inventory.gateway), there: Vec::new() });
    };
    let schemas = parts::tables(&lineage, &plan, &mut told, &without.tables.iter().copied().collect());
    let schemas = schemas.map_err(|why| NotRestored::Database(alluvium::Error::invalid(why)))?;
    let mut segments = BTreeMap::<u32, Vec<Segment>>::new();
    for segment in plan.segments {
        segments.entry(segment.key.table).or_default().push(segment);
    }
    let of_table = |schema: TableSchema| {
        let segments = segments.remove(&schema.id.0).unwrap_or_default();
        let erasures = lineage.wanted().iter().flat_map(|(_, cut)| &cut.erasures);
        let erasures = erasures.filter(|erasure| erasure.table == schema.id.0 && takes_any(erasure, &segments, &schema)).cloned();
        TableContents { erasures: erasures.collect(), schema, segments }
    };
    let kept = schemas.into_iter().filter(|table| !table.dropped).map(|table| table.schema);
    let mut tables: Vec<_> = kept.map(of_table).collect();
    tables.sort_by(|one, other| one.schema.name.cmp(&other.schema.name));
    Ok(Contents {
        incarnation,
        cut,
        record: last.records.1,
        sealed_at: last.sealed_at,
        tables,
        missing: plan.missing,
        problems: in_words(&lineage.tolerated),
        gateway: inventory.gateway,
    })
}

/// Whether there can be rows that a deletion takes.
fn takes_any(erasure: &Erasure, segments: &[Segment], schema: &TableSchema) -> bool {
    segments.iter().any(|Segment { key, .. }| {
        let times = parts::times(key, schema.time_unit);
        key.records.1 < erasure.sequence && times.start < erasure.to && erasure.from < times.end
    })
}
