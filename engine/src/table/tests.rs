use super::{SeriesIndex, TagTest};
use crate::model::{SeriesId, SeriesKey};

fn key(tags: &[Option<&str>]) -> SeriesKey {
    SeriesKey(tags.iter().map(|tag| tag.map(str::to_owned)).collect())
}

fn index(keys: &[&[Option<&str>]]) -> SeriesIndex {
    let mut index = SeriesIndex::default();
    index.set_tags(keys[0].len());
    for (id, tags) in keys.iter().enumerate() {
        index.restore(SeriesId(id as u32), &key(tags)).unwrap();
    }
    index
}

#[test]
fn missing_and_empty_tags_are_different_series() {
    let mut index = index(&[&[None, Some("x")], &[Some(""), Some("x")]]);
    let empty = index.intern(0, "");
    let x = index.intern(1, "x");
    assert_eq!(index.find(&[0, x]), Some(SeriesId(0)));
    assert_eq!(index.find(&[empty, x]), Some(SeriesId(1)));
    assert_eq!(index.key(SeriesId(0)), key(&[None, Some("x")]));
    assert_eq!(index.key(SeriesId(1)), key(&[Some(""), Some("x")]));
}

#[test]
fn a_series_stays_the_same_when_its_table_gains_a_tag() {
    let mut index = index(&[&[Some("a")], &[Some("b")]]);
    index.set_tags(2);
    let (a, new) = (index.intern(0, "a"), index.intern(1, "new"));
    assert_eq!(index.find_or_add(&[a, 0]).unwrap(), SeriesId(0));
    assert_eq!(index.find_or_add(&[a, new]).unwrap(), SeriesId(2));
    assert_eq!(index.key(SeriesId(0)), key(&[Some("a"), None]));
}

#[test]
fn tag_order_is_missing_first_then_bytes() {
    let mut index = index(&[&[Some("b"), None], &[Some("a"), Some("z")], &[None, Some("q")], &[Some("a"), None]]);
    assert_eq!(index.ordered().as_ref(), [SeriesId(2), SeriesId(3), SeriesId(1), SeriesId(0)]);
}

#[test]
fn restoring_refuses_contradictions() {
    let mut index = index(&[&[Some("a")]]);
    assert!(index.restore(SeriesId(0), &key(&[Some("b")])).is_err(), "another key for the same number");
    assert!(index.restore(SeriesId(1), &key(&[Some("a")])).is_err(), "another number for the same key");
    index.restore(SeriesId(0), &key(&[Some("a")])).unwrap();
    assert_eq!(index.len(), 1);
}

#[test]
fn a_lost_definition_is_presumed_until_it_is_named_again() {
    let mut index = index(&[&[Some("a")]]);
    index.restore(SeriesId(2), &key(&[Some("c")])).unwrap();
    assert_eq!(index.len(), 3);
    assert_eq!(index.key(SeriesId(1)), key(&[Some("\0lost series 1")]));
    index.restore(SeriesId(1), &key(&[Some("b")])).unwrap();
    let codes = [index.find_code(0, "b").unwrap()];
    assert_eq!(index.find(&codes), Some(SeriesId(1)));
    assert!(index.presume(SeriesId(3)).unwrap());
    assert!(!index.presume(SeriesId(3)).unwrap());
}

#[test]
fn predicates_select_series() {
    let index = index(&[&[Some("a"), Some("1")], &[Some("b"), None], &[Some("a"), None]]);
    let is_a = [String::from("a")];
    assert_eq!(index.matching(&[(0, TagTest::OneOf(&is_a))]), [SeriesId(0), SeriesId(2)]);
    let missing = TagTest::Matches(Box::new(|value: Option<&str>| value.is_none()));
    assert_eq!(index.matching(&[(0, TagTest::OneOf(&is_a)), (1, missing)]), [SeriesId(2)]);
    let unknown = [String::from("zebra")];
    assert_eq!(index.matching(&[(0, TagTest::OneOf(&unknown))]), []);
}

#[test]
fn many_series_are_all_found_again() {
    let mut index = SeriesIndex::default();
    index.set_tags(2);
    for n in 0..10_000_u32 {
        let codes = [index.intern(0, &format!("device-{}", n / 10)), index.intern(1, &format!("{}", n % 10))];
        assert_eq!(index.find_or_add(&codes).unwrap(), SeriesId(n));
    }
    for n in 0..10_000_u32 {
        let codes =
            [index.find_code(0, &format!("device-{}", n / 10)).unwrap(), index.find_code(1, &format!("{}", n % 10)).unwrap()];
        assert_eq!(index.find(&codes), Some(SeriesId(n)));
    }
}
