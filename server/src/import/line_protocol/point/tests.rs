use super::FieldValue::Bool;
use super::*;
use crate::import::testing::{random, random_text};

fn float(digits: &str) -> FieldValue<'_> {
    FieldValue::Float(digits.parse().unwrap(), digits)
}

fn int(digits: &str) -> FieldValue<'_> {
    FieldValue::Int(digits.parse().unwrap(), digits)
}

fn uint(digits: &str) -> FieldValue<'_> {
    FieldValue::UInt(digits.parse().unwrap(), digits)
}

fn text(text: &str) -> FieldValue<'_> {
    FieldValue::Text(plain(text))
}

/// Text without escapes.
fn plain(written: &str) -> Text<'_> {
    Text { written, escapes: None }
}

fn point<'a>(
    measurement: &'a str,
    tags: &[(&'a str, &'a str)],
    fields: &[(&'a str, FieldValue<'a>)],
    time: Option<i64>,
) -> Result<Option<Point<'a>>, String> {
    Ok(Some(Point {
        measurement: plain(measurement),
        tags: tags.iter().map(|(key, value)| (plain(key), plain(value))).collect(),
        fields: fields.iter().map(|(key, value)| (plain(key), *value)).collect(),
        time,
    }))
}

#[test]
fn plain_lines() {
    assert_eq!(parse_line("m f=1"), point("m", &[], &[("f", float("1"))], None));
    assert_eq!(
        parse_line("weather,city=Bern,site=a temp=-1.5,n=3i,u=4u,ok=t,off=FALSE,s=\"x y\" 1700000000000000000"),
        point(
            "weather",
            &[("city", "Bern"), ("site", "a")],
            &[
                ("temp", float("-1.5")),
                ("n", int("3")),
                ("u", uint("4")),
                ("ok", Bool(true)),
                ("off", Bool(false)),
                ("s", text("x y")),
            ],
            Some(1_700_000_000_000_000_000)
        )
    );
    assert_eq!(parse_line("  m   f=1e3   -5  \r"), point("m", &[], &[("f", float("1e3"))], Some(-5)));
    for line in ["", "   ", "# a comment", "\t\r"] {
        assert_eq!(parse_line(line), Ok(None), "{line:?}");
    }
}

#[test]
fn escapes() {
    assert_eq!(
        parse_line(r#"my\ plant\,a=b,the\ tag\=x=v\,1\ 2\= f\,\ \=="q\"u\\o\te",g="" 1"#),
        point("my plant,a=b", &[("the tag=x", "v,1 2=")], &[("f, =", text("q\"u\\o\\te")), ("g", text(""))], Some(1))
    );
    assert_eq!(parse_line(r"C:\dir,p=C:\x f=1"), point(r"C:\dir", &[("p", r"C:\x")], &[("f", float("1"))], None));
    assert_eq!(parse_line(r"\ m f=1"), point(" m", &[], &[("f", float("1"))], None));
    assert_eq!(parse_line(r"\  f=1"), point(" ", &[], &[("f", float("1"))], None));
    assert_eq!(parse_line("größe,ort=Köln höhe=\"ü, ö\""), point("größe", &[("ort", "Köln")], &[("höhe", text("ü, ö"))], None));
}

#[test]
fn malformed_lines() {
    for (line, reason) in [
        ("m", "a space and fields is expected, but the line ends"),
        (",a=b f=1", "a measurement is expected at byte 1"),
        ("m,a f=1", "tag=value is expected at byte 4"),
        ("m,a= f=1", "the value of a tag is expected at byte 5"),
        ("m,=b f=1", "tag=value is expected at byte 3"),
        ("m,a=b", "a space and fields is expected, but the line ends"),
        ("m f", "field=value is expected, but the line ends"),
        ("m f=", "a number, 5i, 5u, true, false or \"text\" is expected, but the line ends"),
        ("m f=abc", "is expected at byte 5"),
        ("m f=1.5i", "is expected at byte 5"),
        ("m f=-1u", "is expected at byte 5"),
        ("m f=99999999999999999999i", "is expected at byte 5"),
        ("m f=\"abc", "a closing quote is expected, but the line ends"),
        ("m f=\"abc\\\"", "a closing quote is expected, but the line ends"),
        ("m f=\"a\"b", "a comma, or a space and a time is expected at byte 8"),
        ("m f=1,", "field=value is expected, but the line ends"),
        ("m f=1 noon", "a time as an integer of 64 bits is expected at byte 7"),
        ("m f=1 99999999999999999999", "a time as an integer of 64 bits is expected at byte 7"),
        ("m f=1 1 2", "the end of the line is expected at byte 9"),
        ("m f=1 1-2", "a time as an integer of 64 bits is expected at byte 7"),
    ] {
        let error = parse_line(line).unwrap_err();
        assert!(error.contains(reason), "{line:?}: {error}");
    }
}

fn escape(text: &str, special: &[char]) -> String {
    text.chars().flat_map(|letter| special.contains(&letter).then_some('\\').into_iter().chain([letter])).collect()
}

/// What is written by the rules of the format is read back, and no text at all makes the parser panic.
#[test]
fn reads_what_the_rules_write() {
    let mut random = random();
    for _ in 0..5_000 {
        // No backslashes in names: before a special character the format cannot express them.
        let mut name = |prefix: &str| format!("{prefix}{}", random_text(&mut random, "ab ,=ü\"", 4));
        let (measurement, tag, value, field) = (name("m"), name("t"), name("v"), name("f"));
        let said = random_text(&mut random, "ab ,=ü\"\\", 6);
        let time = random.u64(..).cast_signed();
        let line = format!(
            "{},{}={} {}=\"{}\" {time}",
            escape(&measurement, &[',', ' ']),
            escape(&tag, &[',', ' ', '=']),
            escape(&value, &[',', ' ', '=']),
            escape(&field, &[',', ' ', '=']),
            escape(&said, &['"', '\\']),
        );
        let expected = point(&measurement, &[(&tag, &value)], &[(&field, text(&said))], Some(time));
        assert_eq!(parse_line(&line), expected, "{line}");
        let _ = parse_line(&random_text(&mut random, "mf=, \"\\1iü#", 16));
    }
}

/// The points of a text, or what is wrong with their lines.
fn all(lines: &str) -> Vec<Result<Option<Point<'_>>, String>> {
    let (mut points, mut found) = (Points::new(lines), Vec::new());
    loop {
        let mut point = Point::default();
        match points.next(&mut point) {
            None => return found,
            Some(outcome) => found.push(outcome.map(|()| Some(point)).map_err(|reason| format!("{}: {reason}", points.line()))),
        }
    }
}

#[test]
fn points_follow_one_another() {
    let lines = "\n# first\r\na f=1 1\r\n  b,t=x f=2 2 \n\n#last\nc f=3";
    let expected = [
        point("a", &[], &[("f", float("1"))], Some(1)),
        point("b", &[("t", "x")], &[("f", float("2"))], Some(2)),
        point("c", &[], &[("f", float("3"))], None),
    ];
    assert_eq!(all(lines), expected);
    assert_eq!(all(""), []);
}

#[test]
fn text_in_quotes_may_have_several_lines() {
    let lines = "a f=\"x\ny \\\"z\n\",g=1 1\nb f=2";
    let expected =
        [point("a", &[], &[("f", text("x\ny \"z\n")), ("g", float("1"))], Some(1)), point("b", &[], &[("f", float("2"))], None)];
    assert_eq!(all(lines), expected);
}

#[test]
fn a_line_that_is_wrong_is_passed_over() {
    let found = all("a f=\"x\nb f=1 1\n  c,= f=2\r\nd f=3 3");
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(found[0].as_ref().unwrap_err(), "a f=\"x: line protocol: a closing quote is expected, but the line ends");
    assert_eq!(found[1], point("b", &[], &[("f", float("1"))], Some(1)));
    assert_eq!(found[2].as_ref().unwrap_err(), "  c,= f=2: line protocol: tag=value is expected at byte 5");
    assert_eq!(found[3], point("d", &[], &[("f", float("3"))], Some(3)));
}
