//! Principals, roles and tokens as callers see them.

mod grants;

use std::time::Duration;

use super::form::CertificateForm;
use super::*;
use crate::testing::{self, SECOND, begin};
use crate::{ChangeKind, Database, Event};

fn granted(text: &str) -> Grant {
    text.parse().unwrap()
}

fn names(db: &Database) -> Vec<String> {
    db.principals().list().unwrap().into_iter().map(|principal| principal.name).collect()
}

#[test]
fn the_bytes_of_principals_roles_tokens_and_certificates_are_frozen() {
    let principal = Principal {
        disabled: true,
        ..Principal::new("p").role("device").grant(granted("read,write table:air where site=a|b")).grant(granted("all database"))
    };
    let bytes = br#"{"roles":["device"],"grants":["read,write table:air where site=a|b","all database"],"disabled":true}"#;
    assert_eq!(&*form::encode(&PrincipalForm::of(&principal)).unwrap(), bytes);
    assert_eq!(open_cell("p", bytes), principal);
    let role = form::encode(&RoleForm::of(&[granted("consume queue:x")])).unwrap();
    assert_eq!(&*role, br#"{"grants":["consume queue:x"]}"#);
    let token = TokenForm { principal: "p".to_owned(), label: "l".to_owned(), issued_at: -2, expires_at: Some(7) };
    assert_eq!(&*form::encode(&token).unwrap(), br#"{"principal":"p","label":"l","issued_at":-2,"expires_at":7}"#);
    let certificate = CertificateForm { principal: "p".to_owned(), not_before: -1, not_after: 2, revoked_at: Some(3) };
    let bytes = br#"{"principal":"p","not_before":-1,"not_after":2,"revoked_at":3}"#;
    assert_eq!(&*form::encode(&certificate).unwrap(), bytes);
    assert_eq!(time::encode(-2), [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]);
    // SHA-256 of 32 bytes of 0, and the token they make.
    let text = format!("alluvium_{}", "A".repeat(43));
    let hash = token::cell_of(&text).unwrap().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hash, "6266687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925");
    assert_eq!(token::text(&[0; 32]), text);
}

fn open_cell(name: &str, bytes: &[u8]) -> Principal {
    super::open(&cell(space::PRINCIPAL, name), bytes).unwrap()
}

#[test]
fn a_cell_of_another_form_is_refused() {
    let key = cell(space::PRINCIPAL, "p");
    for odd in [
        &b""[..],
        b"{}",
        br#"{"roles":[],"grants":["fly table:x"],"disabled":false}"#,
        br#"{"roles":[],"grants":[],"disabled":false,"more":1}"#,
    ] {
        assert!(super::open(&key, odd).is_err(), "{}", odd.escape_ascii());
    }
}

#[test]
fn principals_outlast_a_power_cut_and_go_with_their_tokens() {
    let (disk, clock, db) = begin();
    let pump = Principal::new("pump-7").role("device").grant(granted("read table:air"));
    db.principals().put(&pump).unwrap();
    db.principals().put(&Principal::new("ops").role("operator")).unwrap();
    let (secret, _) = db.principals().issue_token("pump-7", "", None).unwrap();
    let (other, _) = db.principals().issue_token("ops", "", None).unwrap();
    for (key, principal) in [(1, "pump-7"), (2, "ops")] {
        db.principals().put_certificate(&certificate(key, principal)).unwrap();
    }
    let db = testing::open(&disk.after_power_cut(), &clock);
    assert_eq!(names(&db), ["ops", "pump-7"]);
    assert_eq!(db.principals().get("pump-7").unwrap(), Some(pump));
    assert_eq!(db.principals().authenticate(&secret).unwrap().unwrap().principal, "pump-7");
    assert!(db.principals().remove("pump-7").unwrap());
    assert!(!db.principals().remove("pump-7").unwrap());
    assert_eq!((names(&db), db.principals().tokens().unwrap().len()), (vec!["ops".to_owned()], 1));
    // A new one of the same name is not the old one.
    db.principals().put(&Principal::new("pump-7")).unwrap();
    assert_eq!(db.principals().authenticate(&secret).unwrap(), None);
    assert!(db.principals().authenticate(&other).unwrap().is_some());
    assert!(db.principals().is_revoked(KeyHash([1; 32])).unwrap() && !db.principals().is_revoked(KeyHash([2; 32])).unwrap());
}

#[test]
fn names_that_could_mean_something_else_are_refused() {
    let (_, _, db) = begin();
    for odd in ["", "*", "a b", "a/b", "a:b", "ä", "${principal}", "a\n", &"x".repeat(129)] {
        assert!(db.principals().put(&Principal::new(odd)).is_err(), "{odd:?}");
        assert!(db.principals().put_role(odd, &[]).is_err(), "{odd:?}");
    }
    db.principals().put(&Principal::new("Pump-7.b_c+d@site")).unwrap();
}

#[test]
fn roles_are_there_before_anyone_has_them_and_as_long_as_anyone_does() {
    let (_, _, db) = begin();
    let roles = ["device", "reader", "operator", "admin"];
    assert_eq!(db.principals().roles().unwrap(), roles);
    let missing = db.principals().put(&Principal::new("p").role("painter"));
    assert!(matches!(missing, Err(Error::NoSuchRole { name }) if name == "painter"));
    db.principals().put_role("painter", &[granted("write key:colour")]).unwrap();
    assert_eq!(db.principals().roles().unwrap().last().map(String::as_str), Some("painter"));
    db.principals().put(&Principal::new("p").role("painter")).unwrap();
    let rights = |db: &Database| db.principals().rights("p").unwrap().unwrap();
    assert!(rights(&db).permit(Action::Write, Target::Key("colour")));
    // A role that changes does so for all who have it.
    db.principals().put_role("painter", &[granted("read key:colour")]).unwrap();
    assert!(!rights(&db).permit(Action::Write, Target::Key("colour")));
    let used = db.principals().remove_role("painter").unwrap_err().to_string();
    assert!(used.contains("\"p\""), "{used}");
    db.principals().put(&Principal::new("p")).unwrap();
    assert!(db.principals().remove_role("painter").unwrap());
    assert!(!db.principals().remove_role("painter").unwrap());
    for name in roles {
        assert!(db.principals().put_role(name, &[]).is_err() && db.principals().remove_role(name).is_err());
    }
}

#[test]
fn who_is_disabled_may_do_nothing_until_he_is_not() {
    let (_, _, db) = begin();
    let admin = Principal::new("root").role("admin");
    db.principals().put(&admin).unwrap();
    let (secret, _) = db.principals().issue_token("root", "", None).unwrap();
    db.principals().put(&Principal { disabled: true, ..admin.clone() }).unwrap();
    assert_eq!(db.principals().rights("root").unwrap(), None);
    assert_eq!(db.principals().authenticate(&secret).unwrap(), None);
    db.principals().put(&admin).unwrap();
    assert!(db.principals().rights("root").unwrap().unwrap().permit(Action::Administer, Target::Database));
    assert!(db.principals().authenticate(&secret).unwrap().is_some());
    assert_eq!(db.principals().rights("nobody").unwrap(), None);
}

#[test]
fn a_token_holds_for_its_time_and_until_it_is_revoked() {
    let (disk, clock, db) = begin();
    clock.set_wall(1_000);
    db.principals().put(&Principal::new("p")).unwrap();
    assert!(matches!(db.principals().issue_token("q", "", None), Err(Error::NoSuchPrincipal { .. })));
    let minute = Some(Duration::from_secs(60));
    let (short, told) = db.principals().issue_token("p", "a laptop", minute).unwrap();
    let (long, kept) = db.principals().issue_token("p", "", None).unwrap();
    assert_eq!((told.label.as_str(), told.issued_at, told.expires_in), ("a laptop", 1_000, minute));
    assert_ne!(short, long);
    clock.pass(59 * SECOND);
    // A wall clock that was set ends nothing.
    clock.set_wall(i64::MAX);
    assert_eq!(db.principals().authenticate(&short).unwrap().unwrap().expires_in, Some(Duration::from_secs(1)));
    clock.pass(SECOND);
    assert_eq!(db.principals().authenticate(&short).unwrap(), None);
    assert_eq!(db.principals().tokens().unwrap().iter().map(|token| &token.id).collect::<Vec<_>>(), [&kept.id]);
    assert!(db.principals().authenticate(&long).unwrap().is_some());
    assert!(!db.principals().revoke_token("").unwrap());
    assert!(db.principals().revoke_token(&kept.id).unwrap());
    assert!(!db.principals().revoke_token(&kept.id).unwrap());
    let db = testing::open(&disk.after_power_cut(), &clock);
    assert_eq!(db.principals().authenticate(&long).unwrap(), None);
}

#[test]
fn what_is_no_token_is_none() {
    let (_, _, db) = begin();
    db.principals().put(&Principal::new("p")).unwrap();
    let (secret, _) = db.principals().issue_token("p", "", None).unwrap();
    let other = if secret.ends_with('A') { 'B' } else { 'A' };
    let odd = [
        String::new(),
        "alluvium_".to_owned(),
        secret.to_uppercase(),
        secret[..secret.len() - 1].to_owned(),
        format!("{}{other}", &secret[..secret.len() - 1]),
        format!("{secret} "),
        "x".repeat(1 << 20),
        "alluvium_é".to_owned(),
    ];
    for odd in odd {
        assert_eq!(db.principals().authenticate(&odd).unwrap(), None, "{odd:.60}");
    }
}

#[test]
fn the_feed_tells_of_principals_and_keeps_secrets() {
    let (_, _, db) = begin();
    db.principals().put(&Principal::new("p")).unwrap();
    db.principals().put_role("r", &[]).unwrap();
    db.principals().issue_token("p", "label", None).unwrap();
    db.principals().remove("p").unwrap();
    let changes = db.changes().read().unwrap();
    let told: Vec<_> = changes
        .flat_map(|change| change.unwrap().events)
        .map(|event| match event {
            Event::Principal { name, principal } => format!("{name} {}", principal.is_some()),
            Event::Role { name, grants } => format!("{name} {}", grants.is_some()),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["p true", "r true", "p false"]);
    assert_eq!(db.changes().kind(ChangeKind::Principals).read().unwrap().count(), 3);
    let dirty = format!("{:?}", db.changed_since(0).unwrap().map(Result::unwrap).collect::<Vec<_>>());
    assert!(!dirty.contains("label"), "{dirty}");
}

fn certificate(key: u8, principal: &str) -> Certificate {
    let (not_before, not_after) = (1_577_836_800, 4_102_444_800);
    Certificate { key: KeyHash([key; 32]), principal: principal.to_owned(), not_before, not_after, revoked_at: None }
}

#[test]
fn a_revoked_key_stays_revoked() {
    let (disk, clock, db) = begin();
    for (key, principal) in [(1, "a"), (2, "b"), (3, "a")] {
        db.principals().put_certificate(&certificate(key, principal)).unwrap();
    }
    let revoked = |db: &Database| [1, 2, 3, 4].map(|key| db.principals().is_revoked(KeyHash([key; 32])).unwrap());
    assert_eq!(revoked(&db), [false; 4]);
    assert_eq!(db.principals().revoke_certificates("nobody").unwrap(), []);
    assert_eq!(db.principals().revoke_certificates("0202020").unwrap(), [], "seven digits may be anybody's");
    assert_eq!(db.principals().revoke_certificates("02020202").unwrap().len(), 1);
    assert_eq!(revoked(&db), [false, true, false, false]);
    let both = db.principals().revoke_certificates("a").unwrap();
    assert_eq!(both.iter().map(|one| one.key.0[0]).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(db.principals().revoke_certificates("a").unwrap(), [], "once");
    db.principals().revoke_key(KeyHash([4; 32])).unwrap();
    // Another certificate of the same key does not bring it back.
    db.principals().put_certificate(&certificate(2, "b")).unwrap();
    let db = testing::open(&disk.after_power_cut(), &clock);
    assert_eq!(revoked(&db), [true; 4]);
    assert_eq!(db.principals().certificates().unwrap().len(), 4);
}

#[test]
fn the_latest_time_that_was_noted_counts() {
    let (disk, clock, db) = begin();
    assert_eq!(db.principals().noted_time().unwrap(), None);
    for (noted, latest) in [(-5, -5), (-6, -5), (1_800_000_000_000_000, 1_800_000_000_000_000), (7, 1_800_000_000_000_000)] {
        db.principals().note_time(noted).unwrap();
        assert_eq!(db.principals().noted_time().unwrap(), Some(latest));
    }
    let db = testing::open(&disk.after_power_cut(), &clock);
    assert_eq!(db.principals().noted_time().unwrap(), Some(1_800_000_000_000_000));
    // It is the gateway's own.
    assert_eq!(db.changes().read().unwrap().count(), 0);
    assert_eq!(db.changed_since(0).unwrap().count(), 0);
}
