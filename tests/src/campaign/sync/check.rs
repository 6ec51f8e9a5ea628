//! What has to hold of gateway and bucket: while something is left to be sent, and at the end.

use std::collections::BTreeSet;
use std::path::Path;

use alluvium::{Database, Settings};
use alluvium_sync::objects::Target;
use alluvium_sync::prove::{Branch, Content, Problem, Proof, Prover};
use alluvium_sync::remote::{Hash, Incarnation, Key, Manifest};
use alluvium_sync::restore::{Options, restore};

use super::chain::chain;
use super::gateway::{DELIVERY, NAME};
use super::kept::{Evicted, Kept};
use super::store::Store;
use super::{Violation, ensure};
use crate::answers;
use crate::model::Model;

/// How notes begin that a delivery keeps when nothing is left to be done: what was offered is forgotten with the next cut, if power was cut
/// when it was announced. Of the centre it is only noted how far it was told, and of segments what their tables were called.
const KEPT: [&str; 8] = ["told", "gateway", "only_once", "offered/", "centre/queued", "centre/told", "centre/forked", "sent_as/"];

/// What a bucket proves, and what of it faults have made.
struct Findings {
    proof: Proof,
    /// Objects that a fault made what they are.
    altered: BTreeSet<String>,
    foreign: Vec<String>,
}

fn failed(what: &str) -> impl Fn(alluvium::Error) -> Violation {
    move |error| Violation(format!("cannot {what}: {error}"))
}

fn prove(store: &Store) -> Findings {
    let (mut prover, mut foreign) = (Prover::new(NAME), Vec::new());
    store.look(|bucket| {
        for (path, object) in bucket.objects() {
            match path.parse::<Key>() {
                Ok(key) => prover.see(&key, &Content::Bytes(object.bytes.to_vec())),
                Err(_) => foreign.push(path.clone()),
            }
        }
        let altered = bucket.objects().filter(|(_, object)| object.is_altered).map(|(path, _)| path.clone()).collect();
        Findings { proof: prover.conclude(), altered, foreign }
    })
}

/// What the database says to be announced and held is there.
pub fn nothing_noted_in_vain(db: &Database, store: &Store) -> Result<(), Violation> {
    let delivery = db.delivery(DELIVERY);
    let head = match delivery.head() {
        Err(alluvium::Error::NoSuchDelivery { .. }) => return Ok(()),
        head => head.map_err(failed("read how far the delivery is"))?,
    };
    let Some(announced) = head.announced else { return Ok(()) };
    let proof = prove(store).proof;
    let incarnation = Incarnation(announced.incarnation);
    let branch = proof.branches.iter().find(|branch| branch.incarnation == incarnation && branch.last >= announced.cut);
    let Some(branch) = branch else {
        return Err(Violation(format!("cut {} counts as announced, and its manifest is not there", announced.cut)));
    };
    let Some(left) = left(db)? else { return Ok(()) };
    let is_live = |table: u32| db.tables().iter().any(|schema| schema.id.0 == table);
    let lost = branch.missing.iter().filter(|unit| unit.cut <= announced.cut && !unit.stated && is_live(unit.table));
    let lost: Vec<_> = lost.collect();
    ensure(lost.len() as u64 <= left, || format!("{left} units count as not held, and more are not there: {lost:?}"))
}

/// Units of cuts that were announced which nobody holds by the notes of the database, with those that it knows to be gone and has yet to
/// say so. None where several cuts are not announced, so that they cannot be told.
fn left(db: &Database) -> Result<Option<u64>, Violation> {
    let delivery = db.delivery(DELIVERY);
    let state = delivery.state().map_err(failed("read how far the delivery is"))?;
    let announced = state.head.announced.map_or(0, |announced| announced.cut);
    let next = delivery.next().map_err(failed("read the next cut"))?;
    let (to_come, gone) = next.map_or((0, 0), |cut| (cut.units.len() as u64, cut.voids.len() as u64));
    Ok((state.head.cuts <= announced + 1).then(|| state.units_left + gone - to_come))
}

/// Everything is delivered, nothing is there twice, and what is there is what the gateway holds. Where it was misled about what is there, it
/// may have left a branch behind. Answers what came of letting go of rows.
pub async fn everything(
    db: &Database,
    kept: &Kept,
    store: &Store,
    target: &Target,
    dir: &Path,
    is_misled: bool,
) -> Result<Evicted, Violation> {
    let outrages = store.look(|bucket| bucket.outrages.clone());
    ensure(outrages.is_empty(), || outrages.join("; "))?;
    let own = answers::digest(db).map_err(failed("read the gateway"))?;
    ensure(own == kept.held.digest(), || {
        "the gateway itself holds something else than was written and not let go of".to_owned()
    })?;
    let findings = prove(store);
    let branch = is_delivered(db, &findings)?;
    is_proved(&findings, &branch, is_misled)?;
    nothing_is_left_of_it(db)?;
    let (model, evicted) = kept.expected(&branch_of(db, store)?)?;
    is_restored(&model, &branch, &findings, target, dir).await?;
    Ok(evicted)
}

/// The manifests of the gateway's branch.
fn branch_of(db: &Database, store: &Store) -> Result<Vec<Manifest>, Violation> {
    let head = db.delivery(DELIVERY).head().map_err(failed("read how far the delivery is"))?;
    let announced = head.announced.ok_or_else(|| Violation("nothing was announced".to_owned()))?;
    chain(store, Hash(announced.hash))
}

/// The database and the bucket agree that everything is delivered. Answers the branch of the gateway.
fn is_delivered(db: &Database, findings: &Findings) -> Result<Branch, Violation> {
    let state = db.delivery(DELIVERY).state().map_err(failed("read how far the delivery is"))?;
    ensure((state.cuts_left, state.units_left) == (0, 0), || format!("something is left: {state:?}"))?;
    let incarnation = Incarnation(state.head.incarnation);
    let branch = findings.proof.branches.iter().find(|branch| branch.incarnation == incarnation);
    let branch = branch.ok_or_else(|| Violation(format!("{incarnation} has nothing there: {:?}", findings.proof)))?;
    ensure(branch.last == state.head.cuts, || format!("{} cuts were taken, and {} are there", state.head.cuts, branch.last))?;
    let (here, there) = (state.delivered, branch.delivered_through);
    let same =
        here.map(|delivered| (delivered.cut, delivered.record)) == there.map(|delivered| (delivered.cut, delivered.record));
    ensure(same && here.is_some_and(|delivered| delivered.cut == state.head.cuts), || {
        format!("the gateway says it is delivered through {here:?}, the bucket proves {there:?}: {branch:?}")
    })?;
    Ok(branch.clone())
}

/// Nothing is wrong with the bucket but what faults made wrong.
fn is_proved(findings: &Findings, branch: &Branch, is_misled: bool) -> Result<(), Violation> {
    let is_ours = |problem: &&Problem| !matches!(problem, Problem::Altered { key, .. } if findings.altered.contains(key));
    let problems: Vec<_> = findings.proof.problems.iter().filter(is_ours).map(ToString::to_string).collect();
    ensure(problems.is_empty(), || format!("the bucket proves otherwise: {problems:?}"))?;
    ensure(branch.missing.iter().all(|unit| unit.stated), || format!("units are missing: {branch:?}"))?;
    // A manifest that came out as another one is nobody's.
    let others = findings.proof.branches.iter().filter(|other| other.incarnation != branch.incarnation);
    let strange: Vec<_> = others.filter(|other| !is_misled && !is_altered(findings, other)).collect();
    ensure(strange.is_empty(), || format!("there are two of it: {strange:?}"))?;
    let foreign: Vec<_> = findings.foreign.iter().filter(|path| !path.starts_with(".alluvium-probe-")).collect();
    ensure(foreign.is_empty(), || format!("objects that are none of ours: {foreign:?}"))
}

/// Whether the last manifest of a branch was altered.
fn is_altered(findings: &Findings, branch: &Branch) -> bool {
    findings.altered.iter().any(|path| {
        matches!(path.parse(), Ok(Key::Manifest { incarnation, cut, .. }) if (incarnation, cut) == (branch.incarnation, branch.last))
    })
}

/// Nothing is noted of what came to its end.
fn nothing_is_left_of_it(db: &Database) -> Result<(), Violation> {
    let notes = db.delivery(DELIVERY).notes(b"").map_err(failed("read notes"))?;
    let names = notes.iter().map(|(name, _)| String::from_utf8_lossy(name));
    let left: Vec<_> = names.filter(|name| !KEPT.iter().any(|kept| name.starts_with(kept))).collect();
    ensure(left.is_empty(), || format!("is noted still: {left:?}"))
}

/// What is made again of the bucket is what was written, but for rows that were let go of and then forgotten, which is stated.
async fn is_restored(model: &Model, branch: &Branch, findings: &Findings, target: &Target, dir: &Path) -> Result<(), Violation> {
    let settings = Settings { background: false, ballast_bytes: 0, ..Settings::default() };
    let options = Options {
        gateway: Some(NAME.to_owned()),
        incarnation: Some(branch.incarnation),
        allow_missing: !findings.altered.is_empty(),
        settings: settings.clone(),
        ..Options::default()
    };
    let place = dir.join("restored");
    let restored = restore(target, &place, &options, &mut |_| {}).await;
    let restored = restored.map_err(|error| Violation(format!("is not restored: {error}")))?;
    ensure(restored.missing.is_empty(), || format!("is not restored whole: {:?}", restored.missing))?;
    let db = Database::builder().settings(settings).open(&place).map_err(failed("open what was restored"))?;
    let found = answers::digest(&db).map_err(failed("read what was restored"))?;
    ensure(found == model.digest(), || format!("the bucket holds something else than was written: {}", differences(&db, model)))
}

/// Where a database and a model part.
fn differences(db: &Database, model: &Model) -> String {
    let of_table = |(name, table): (&String, &crate::model::Table)| {
        let found = answers::rows(db, &alluvium::Query::table(name)).unwrap_or_default();
        let expected: Vec<_> = table.all().collect();
        let lacking = expected.iter().find(|row| !found.contains(row));
        let more = found.iter().find(|row| !expected.contains(row));
        (found != expected)
            .then(|| format!("{} rows of {} in {name}, lacking {lacking:?}, more {more:?}", found.len(), expected.len()))
    };
    let told: Vec<_> = model.tables.iter().filter_map(of_table).collect();
    if told.is_empty() { "tables, or what else there is".to_owned() } else { told.join("; ") }
}
