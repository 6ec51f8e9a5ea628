//! What grants mean, as text and as decisions.

use std::collections::HashMap;

use super::*;

fn rights(grants: &[&str]) -> Rights {
    Rights::new("pump-7", grants.iter().map(|text| granted(text)).collect())
}

fn holds(scope: &Scope, tags: &[(&str, &str)]) -> bool {
    let tags: HashMap<_, _> = tags.iter().copied().collect();
    scope.holds(|tag| tags.get(tag).copied())
}

#[test]
fn a_grant_as_text_is_what_it_says() {
    for (text, canonical) in [
        ("read table:air", "read table:air"),
        ("  write,read   table:air_*  ", "read,write table:air_*"),
        ("read,write,delete,define table:*", "all table:*"),
        ("all key:*", "all key:*"),
        ("all queue:jobs", "all queue:jobs"),
        ("read database", "read database"),
        ("operate,administer everything", "operate,administer everything"),
        ("read table:air where site=b|a and device=${principal}", "read table:air where device=${principal} and site=a|b"),
        (
            r#"read table:"two words" where "odd tag"="a|b"|"c \"d\" \\ e""#,
            r#"read table:"two words" where "odd tag"="a|b"|"c \"d\" \\ e""#,
        ),
        (r#"read key:a" "b where"#, ""),
        (r#"read table:t where t="""#, r#"read table:t where t="""#),
        (r#""read" "table:x""#, "read table:x"),
    ] {
        match text.parse::<Grant>() {
            Ok(grant) => {
                assert_eq!(grant.to_string(), canonical, "{text}");
                assert_eq!(canonical.parse::<Grant>().unwrap(), grant, "{text}");
            }
            Err(_) => assert_eq!(canonical, "", "{text}"),
        }
    }
}

#[test]
fn what_is_no_grant_names_the_culprit() {
    for (text, culprit) in [
        ("", "ACTIONS OBJECT"),
        ("read", "ACTIONS OBJECT"),
        ("fly table:x", "\"fly\""),
        ("read,,write table:x", "\"\""),
        ("read tables:x", "tables:x"),
        ("read table:", "table:*"),
        ("read everything:x", "everything:x"),
        ("consume table:x", "consume cannot be done to table:x"),
        ("administer key:x", "administer"),
        ("write database", "write"),
        ("read key:x where a=b", "only tables"),
        ("read everything where a=b", "only tables"),
        ("all table:x where a=b", "without tags"),
        ("read table:x where", "where TAG=VALUE"),
        ("read table:x when a=b", "where TAG=VALUE"),
        ("read table:x where a=b c=d", "where TAG=VALUE"),
        ("read table:x where a=b and", "where TAG=VALUE"),
        ("read table:x where a=b or c=d", "where TAG=VALUE"),
        ("read table:x where a", "\"a\""),
        ("read table:x where =b", "\"=b\""),
        ("read table:x where a=b and a=c", "twice"),
        ("read table:\"x", "does not end"),
        (r#"read table:"a\b""#, "stands before"),
        ("read\ttable:x", "control character"),
    ] {
        let error = text.parse::<Grant>().unwrap_err().to_string();
        assert!(error.contains(culprit), "{text:?}: {error}");
    }
}

#[test]
fn texts_of_any_characters_come_back() {
    const CHARACTERS: [char; 15] = ['a', 'b', '*', '|', '=', ',', ':', '"', '\\', ' ', 'ä', '$', '{', '}', '-'];
    let mut random = testing::random(7);
    for _ in 0..5_000 {
        let mut word = |least: usize| -> String {
            let length = random.usize(least..6);
            (0..length).map(|_| *random.choice(&CHARACTERS).unwrap()).collect()
        };
        let (table, tag, values) = (word(1), word(1), [word(0), word(0)]);
        let grant = Grant {
            actions: [Action::Read].into(),
            object: Object::Tables(Pattern::new(table)),
            tags: [(tag, values.into_iter().map(Pattern::new).collect())].into(),
        };
        let text = grant.to_string();
        assert_eq!(text.parse::<Grant>().unwrap(), grant, "{text}");
    }
}

#[test]
fn patterns_match_what_they_say() {
    for (pattern, name, matches) in [
        ("air", "air", true),
        ("air", "air2", false),
        ("*", "", true),
        ("air*", "air", true),
        ("air_*_raw", "air_x_raw", true),
        ("air_*_raw", "air_raw", false),
        ("a*b*c", "abc", true),
        ("a*b*c", "aXbYbZc", true),
        ("a*b*c", "aXcYb", false),
        ("*b", "ab", true),
        ("*bb", "b", false),
        ("a*a", "a", false),
        ("**", "x", true),
        ("${principal}", "pump-7", true),
        ("${principal}/*", "pump-7/x", true),
        ("${principal}/*", "pump-70/x", false),
        ("*/${principal}", "a/pump-7", true),
        ("${principal", "${principal", true),
    ] {
        assert_eq!(Pattern::new(pattern).matches(name, "pump-7"), matches, "{pattern} {name}");
    }
    assert!(!Pattern::new("${principal}").matches("anything", "*"), "a principal's name is no pattern");
}

/// Against the plain definition: a star is any characters, tried one after the other.
#[test]
fn patterns_match_what_the_definition_does() {
    fn defined(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|skipped| defined(rest, &name[skipped..])),
            Some((one, rest)) => name.split_first().is_some_and(|(first, names)| first == one && defined(rest, names)),
        }
    }
    let mut random = testing::random(8);
    let mut matched = 0;
    for _ in 0..20_000 {
        let mut text = |of: &str, most: usize| -> String {
            let length = random.usize(..most);
            (0..length).map(|_| char::from(*random.choice(of.as_bytes()).unwrap())).collect()
        };
        let (pattern, name) = (text("ab*", 7), text("ab", 8));
        let expected = defined(pattern.as_bytes(), name.as_bytes());
        matched += usize::from(expected);
        assert_eq!(Pattern::new(&*pattern).matches(&name, "p"), expected, "{pattern} {name}");
    }
    assert!((1_000..19_000).contains(&matched), "{matched}");
}

#[test]
fn what_is_not_granted_is_refused() {
    let none = rights(&[]);
    let targets = [Target::Table("t"), Target::Collection("t"), Target::Queue("t"), Target::Key("t"), Target::Database];
    for target in targets {
        assert!(Action::ALL.iter().all(|action| !none.permit(*action, target)));
    }
    // Each grant allows its action on its object, and nothing else.
    for (text, action, target) in [
        ("read table:t", Action::Read, targets[0]),
        ("write collection:t", Action::Write, targets[1]),
        ("consume queue:t", Action::Consume, targets[2]),
        ("delete key:t", Action::Delete, targets[3]),
        ("administer database", Action::Administer, targets[4]),
    ] {
        let rights = rights(&[text]);
        for other_target in targets {
            for other_action in Action::ALL {
                let expected = (other_action, other_target) == (action, target);
                assert_eq!(rights.permit(other_action, other_target), expected, "{text}: {other_action:?} {other_target:?}");
            }
        }
    }
    assert!(!rights(&["read key:a/*"]).permit(Action::Read, Target::Key("a")));
    let all = rights(&["all everything"]);
    assert!(targets.iter().all(|target| Action::ALL.iter().all(|action| all.permit(*action, *target))));
}

#[test]
fn who_has_some_series_has_no_others() {
    let own = rights(&["write table:* where device=${principal} and site=a|b*"]);
    assert!(!own.permit(Action::Write, Target::Table("air")), "not all of it");
    assert_eq!(own.scope(Action::Read, "air"), None);
    let scope = own.scope(Action::Write, "air").unwrap();
    assert!(!scope.is_everything());
    assert!(holds(&scope, &[("device", "pump-7"), ("site", "a"), ("more", "x")]));
    assert!(holds(&scope, &[("device", "pump-7"), ("site", "basement")]));
    assert!(!holds(&scope, &[("device", "pump-8"), ("site", "a")]));
    assert!(!holds(&scope, &[("device", "pump-7"), ("site", "c")]));
    assert!(!holds(&scope, &[("device", "pump-7")]), "a tag that is missing is no value");
    assert!(!holds(&rights(&["read table:t where a=*"]).scope(Action::Read, "t").unwrap(), &[]));
    // Several grants add up, and one of all series outdoes the others.
    let two = rights(&["read table:t where a=1", "read table:* where b=2"]).scope(Action::Read, "t").unwrap();
    assert!(holds(&two, &[("a", "1")]) && holds(&two, &[("b", "2")]) && !holds(&two, &[("a", "2"), ("b", "1")]));
    let all = rights(&["read table:t where a=1", "read table:*"]);
    assert!(all.scope(Action::Read, "t").unwrap().is_everything() && all.permit(Action::Read, Target::Table("t")));
}

#[test]
fn the_roles_of_every_database_allow_what_they_are_for() {
    let (_, _, db) = begin();
    let rights = |role: &str| {
        db.principals().put(&Principal::new("pump-7").role(role)).unwrap();
        db.principals().rights("pump-7").unwrap().unwrap()
    };
    let device = rights("device");
    assert!(holds(&device.scope(Action::Write, "air").unwrap(), &[("device", "pump-7")]));
    assert!(!holds(&device.scope(Action::Read, "air").unwrap(), &[("device", "pump-8")]));
    assert_eq!(device.scope(Action::Delete, "air"), None);
    assert!(
        device.permit(Action::Consume, Target::Queue("pump-7/commands"))
            && device.permit(Action::Write, Target::Key("pump-7/state"))
    );
    for refused in [
        (Action::Write, Target::Queue("pump-7")),
        (Action::Consume, Target::Queue("pump-8")),
        (Action::Read, Target::Key("pump-8/state")),
        (Action::Read, Target::Collection("recipes")),
        (Action::Read, Target::Database),
    ] {
        assert!(!device.permit(refused.0, refused.1), "{refused:?}");
    }
    let reader = rights("reader");
    assert!(reader.permit(Action::Read, Target::Table("air")) && !reader.permit(Action::Write, Target::Table("air")));
    let operator = rights("operator");
    assert!(operator.permit(Action::Operate, Target::Database) && !operator.permit(Action::Administer, Target::Database));
    assert!(rights("admin").permit(Action::Administer, Target::Database));
}
