//! What collections, their indexes and references are to be, as the command line and the API take it alike.

use std::time::Duration;

use alluvium::{CollectionSpec, Compatibility, IndexSpec, OnDelete, Path, ReferenceSpec};
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Outcome};

/// What a collection is to be.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NewCollection {
    /// Lets deleted documents be restored.
    pub(crate) soft_delete: bool,
    /// For how long what was deleted can be restored.
    #[schemars(range(min = 0.0))]
    pub(crate) keep_deleted_seconds: Option<f64>,
    /// Earlier versions of a document that are kept.
    pub(crate) history: u32,
    pub(crate) compatibility: Agreement,
    pub(crate) indexes: Vec<NewIndex>,
    pub(crate) references: Vec<NewReference>,
}

/// What is changed of a collection.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangedCollection {
    /// Another name.
    pub(crate) name: Option<String>,
    pub(crate) compatibility: Option<Agreement>,
}

/// An index over documents.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewIndex {
    pub(crate) name: String,
    /// What it is over, in order.
    pub(crate) paths: Vec<String>,
    /// No two documents may share its values.
    #[serde(default)]
    pub(crate) unique: bool,
}

/// A field of documents that names documents of another collection.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReference {
    pub(crate) path: String,
    pub(crate) to: String,
    #[serde(default)]
    pub(crate) on_delete: WhenDeleted,
}

/// What becomes of a document when one that it refers to is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WhenDeleted {
    /// The other stays.
    #[default]
    Restrict,
    /// It is deleted too.
    Cascade,
    /// It refers to nothing.
    SetNull,
}

/// How versions of a schema agree.
#[derive(Debug, Clone, Copy, Default, ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Compatibility")]
pub(crate) enum Agreement {
    /// Not at all
    #[default]
    None,
    /// The new one allows what the old one does
    Backward,
    /// The old one allows what the new one does
    Forward,
    /// Both
    Full,
}

impl NewCollection {
    /// As the engine takes it.
    pub(crate) fn spec(&self, name: &str) -> Outcome<CollectionSpec> {
        let mut spec = CollectionSpec::new(name).history(self.history).compatibility(self.compatibility.into());
        let keep = self.keep_deleted_seconds.map(Duration::try_from_secs_f64).transpose().map_err(Failure::usage)?;
        if self.soft_delete {
            spec = spec.soft_delete(keep);
        }
        spec.indexes = self.indexes.iter().map(NewIndex::spec).collect::<Outcome<_>>()?;
        spec.references = self.references.iter().map(NewReference::spec).collect::<Outcome<_>>()?;
        Ok(spec)
    }
}

impl NewIndex {
    /// Reads `NAME=PATH,PATH`.
    pub(super) fn read(text: &str, unique: bool) -> Outcome<NewIndex> {
        let usage = || Failure::usage(format_args!("{text:?} is no index: write NAME=PATH or NAME=PATH,PATH"));
        let (name, paths) = text.split_once('=').ok_or_else(usage)?;
        Ok(NewIndex { name: name.to_owned(), paths: paths.split(',').map(str::to_owned).collect(), unique })
    }

    /// As the engine takes it.
    pub(crate) fn spec(&self) -> Outcome<IndexSpec> {
        let paths: Vec<&str> = self.paths.iter().map(String::as_str).collect();
        let spec = IndexSpec::new(&self.name, &paths).map_err(Failure::of_request)?;
        Ok(IndexSpec { unique: self.unique, ..spec })
    }
}

impl NewReference {
    /// Reads `PATH=COLLECTION:cascade`.
    pub(super) fn read(text: &str) -> Outcome<NewReference> {
        let wrong = "write PATH=COLLECTION, and behind it :restrict, :cascade or :set-null";
        let usage = || Failure::usage(format_args!("{text:?} is no reference: {wrong}"));
        let (path, to) = text.split_once('=').ok_or_else(usage)?;
        let (to, on_delete) = match to.rsplit_once(':') {
            None => (to, WhenDeleted::Restrict),
            Some((to, "restrict")) => (to, WhenDeleted::Restrict),
            Some((to, "cascade")) => (to, WhenDeleted::Cascade),
            Some((to, "set-null")) => (to, WhenDeleted::SetNull),
            Some(_) => return Err(usage()),
        };
        Ok(NewReference { path: path.to_owned(), to: to.to_owned(), on_delete })
    }

    /// As the engine takes it.
    pub(crate) fn spec(&self) -> Outcome<ReferenceSpec> {
        let on_delete = match self.on_delete {
            WhenDeleted::Restrict => OnDelete::Restrict,
            WhenDeleted::Cascade => OnDelete::Cascade,
            WhenDeleted::SetNull => OnDelete::SetNull,
        };
        Ok(ReferenceSpec { path: Path::parse(&self.path).map_err(Failure::of_request)?, to: self.to.clone(), on_delete })
    }
}

impl From<OnDelete> for WhenDeleted {
    fn from(on_delete: OnDelete) -> Self {
        match on_delete {
            OnDelete::Restrict => WhenDeleted::Restrict,
            OnDelete::Cascade => WhenDeleted::Cascade,
            OnDelete::SetNull => WhenDeleted::SetNull,
        }
    }
}

impl From<Agreement> for Compatibility {
    fn from(agreement: Agreement) -> Self {
        match agreement {
            Agreement::None => Compatibility::None,
            Agreement::Backward => Compatibility::Backward,
            Agreement::Forward => Compatibility::Forward,
            Agreement::Full => Compatibility::Full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_and_references_are_read() {
        let index = NewIndex::read("by_room=site.room,kind", true).unwrap();
        let expected = IndexSpec::new("by_room", &["/site/room", "kind"]).unwrap();
        assert_eq!(index.spec().unwrap(), IndexSpec { unique: true, ..expected });
        let reference = |text: &str| NewReference::read(text).unwrap().spec().unwrap();
        let spec = |on_delete| ReferenceSpec { path: Path::parse("site").unwrap(), to: "sites".into(), on_delete };
        assert_eq!(reference("site=sites"), spec(OnDelete::Restrict));
        assert_eq!(reference("site=sites:restrict"), spec(OnDelete::Restrict));
        assert_eq!(reference("site=sites:cascade"), spec(OnDelete::Cascade));
        assert_eq!(reference("site=sites:set-null"), spec(OnDelete::SetNull));
        assert!(NewIndex::read("by_room", false).is_err());
        assert!(NewReference::read("site").is_err() && NewReference::read("site=a:b").is_err());
    }

    #[test]
    fn programs_write_the_same() {
        let text = r#"{"soft_delete":true,"keep_deleted_seconds":2.5,"compatibility":"full",
            "indexes":[{"name":"i","paths":["a"]}],"references":[{"path":"site","to":"sites","on_delete":"set-null"}]}"#;
        let spec = serde_json::from_str::<NewCollection>(text).unwrap().spec("c").unwrap();
        let expected =
            CollectionSpec::new("c").soft_delete(Some(Duration::from_millis(2_500))).compatibility(Compatibility::Full);
        assert_eq!(
            (&spec.name, spec.keep_deleted, spec.compatibility),
            (&expected.name, expected.keep_deleted, Compatibility::Full)
        );
        assert_eq!((spec.indexes[0].name.as_str(), spec.references[0].on_delete), ("i", OnDelete::SetNull));
        assert!(serde_json::from_str::<NewCollection>(r#"{"soft":true}"#).is_err());
        let negative = serde_json::from_str::<NewCollection>(r#"{"keep_deleted_seconds":-1.0}"#).unwrap();
        assert!(matches!(negative.spec("c"), Err(Failure::Usage(_))));
    }
}
