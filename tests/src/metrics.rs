//! A reader of the text format of Prometheus, written after its description and not after who writes it here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::http::ask;

/// The samples of a scrape.
#[derive(Debug, Default)]
pub struct Scrape {
    /// The type of each metric that was said.
    pub types: BTreeMap<String, String>,
    /// Values, by name and labels.
    samples: BTreeMap<(String, BTreeMap<String, String>), f64>,
}

impl Scrape {
    /// Scrapes a server.
    pub fn of(at: SocketAddr) -> Scrape {
        let answer = ask(at, "GET", "/metrics", &[], b"");
        assert_eq!(answer.status, 200);
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        Scrape::parse(&String::from_utf8(answer.body).expect("UTF-8"))
    }

    /// Reads a text, which has to be well formed in all that it says.
    pub fn parse(text: &str) -> Scrape {
        assert!(text.ends_with('\n'), "the last line ends too");
        let mut scrape = Scrape::default();
        for line in text.lines() {
            if let Some(said) = line.strip_prefix("# TYPE ") {
                let (name, kind) = said.split_once(' ').expect("a name and a type");
                assert!(scrape.types.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is told of twice");
            } else if !line.starts_with('#') {
                let (name, labels, value) = sample(line);
                let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
                assert!(scrape.samples.insert((name, labels), value).is_none(), "twice: {line}");
            }
        }
        let types = scrape.types.keys().cloned().collect::<Vec<_>>();
        let told = |name: &str| types.iter().any(|told| name == told || name.strip_prefix(told.as_str()).is_some_and(part));
        let untold = scrape.samples.keys().find(|(name, _)| !told(name));
        assert_eq!(untold, None, "of a type that is not said");
        scrape
    }

    /// The names of the labels of a metric, all samples together; of a histogram without that of its buckets.
    pub fn labels(&self, metric: &str) -> BTreeSet<String> {
        let of = |name: &str| name == metric || name.strip_prefix(metric).is_some_and(part);
        let labels = self.samples.keys().filter(|(name, _)| of(name)).flat_map(|(_, labels)| labels.keys().cloned());
        labels.filter(|label| label != "le").collect()
    }

    /// A value; 0 if there is none with these labels.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).unwrap_or(0.0)
    }

    /// A value, if there is one with exactly these labels.
    pub fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.samples.get(&(name.to_owned(), labels)).copied()
    }
}

/// What is behind the name of a histogram.
fn part(rest: &str) -> bool {
    matches!(rest, "_bucket" | "_sum" | "_count")
}

/// Name, labels and value of a line.
fn sample(line: &str) -> (String, BTreeMap<String, String>, &str) {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).expect("something behind the name");
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (key, behind) = rest.split_once("=\"").expect("a label and its value");
            let (value, behind) = quoted(behind);
            assert!(labels.insert(key.to_owned(), value).is_none(), "twice the label {key}");
            rest = behind.strip_prefix(',').unwrap_or(behind);
        }
        rest = &rest[1..];
    }
    (name.to_owned(), labels, rest.trim_start())
}

/// A text up to its quote, and what is behind that.
fn quoted(text: &str) -> (String, &str) {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next().expect("what is escaped").1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    panic!("no end of {text:?}")
}
