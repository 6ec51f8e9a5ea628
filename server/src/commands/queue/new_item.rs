//! What is to be pushed: one item from the command line, or a JSON object per line from standard input.

use alluvium::{NewItem, TimeUnit};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use super::standard_input;
use crate::commands::values::text_or_base64;
use crate::failure::{Failure, Outcome};
use crate::parse::time;

#[derive(Debug, Args)]
pub(crate) struct PushArguments {
    /// The queue
    pub(super) queue: String,
    /// The payload; - reads it from standard input
    #[arg(allow_hyphen_values = true, required_unless_present = "lines")]
    payload: Option<String>,
    /// Comes before everything of lower priority
    #[arg(long, default_value_t = 0)]
    priority: u8,
    /// Cannot be popped before: 2024-03-31, 2024-03-31T12:00:00Z, an integer since 1970 (s, ms, µs or ns by its size), now+1h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    due: Option<String>,
    /// Is pushed only if nothing with this key was within the queue's window
    #[arg(long)]
    key: Option<String>,
    /// Reads items from standard input, each a line with a JSON object of `payload` (text) or `base64`, and as they are wanted
    /// `priority`, `due` and `key`
    #[arg(long, conflicts_with_all = ["payload", "priority", "due", "key"])]
    lines: bool,
}

impl PushArguments {
    pub(super) fn items(self) -> Outcome<Vec<Wanted>> {
        if self.lines {
            let input = standard_input()?;
            let lines = input.split(|byte| *byte == b'\n').enumerate();
            let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
            let read = |(number, line): (usize, &[u8])| {
                of_line(line).map_err(|wrong| Failure::failed(format_args!("line {}: {wrong}; nothing was pushed", number + 1)))
            };
            return lines.map(read).collect();
        }
        let payload = match self.payload.as_deref().unwrap_or_default() {
            "-" => standard_input()?,
            text => text.as_bytes().to_vec(),
        };
        let due = self.due.as_deref().map(moment).transpose().map_err(Failure::Usage)?;
        Ok(vec![Wanted { payload, priority: self.priority, due, key: self.key }])
    }
}

/// An item that is to be pushed.
#[derive(Debug)]
pub(super) struct Wanted {
    payload: Vec<u8>,
    priority: u8,
    due: Option<i64>,
    key: Option<String>,
}

impl Wanted {
    /// As the engine takes it.
    pub(super) fn item(self) -> NewItem {
        let item = NewItem::new(self.payload).priority(self.priority);
        let item = self.due.map_or(item.clone(), |due| item.due(due));
        self.key.map_or(item.clone(), |key| item.deduplicate(&key))
    }

    /// As a server takes it.
    pub(super) fn describe(&self) -> Json {
        let (payload, base64) = text_or_base64(&self.payload);
        json!({ "payload": payload, "base64": base64, "priority": self.priority, "due": self.due, "key": self.key })
    }
}

fn of_line(line: &[u8]) -> Result<Wanted, String> {
    let object: Json = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let object = object.as_object().ok_or("not an object")?;
    if let Some(odd) = object.keys().find(|name| !["payload", "base64", "priority", "due", "key"].contains(&name.as_str())) {
        return Err(format!("{odd:?} is none of payload, base64, priority, due, key"));
    }
    let text = |name: &str| match object.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("{name:?} is no text")),
    };
    let payload = match (text("payload")?, text("base64")?) {
        (Some(text), None) => text.as_bytes().to_vec(),
        (None, Some(text)) => BASE64_STANDARD.decode(text).map_err(|error| format!("\"base64\": {error}"))?,
        _ => return Err("it needs one of \"payload\" and \"base64\"".to_owned()),
    };
    let priority = object.get("priority").map_or(Some(0), |priority| u8::try_from(priority.as_u64()?).ok());
    let priority = priority.ok_or("\"priority\" is no number from 0 to 255")?;
    let due = match object.get("due") {
        Some(Json::Number(number)) => Some(moment(&number.to_string())?),
        _ => text("due")?.map(moment).transpose()?,
    };
    Ok(Wanted { payload, priority, due, key: text("key")?.map(str::to_owned) })
}

/// Microseconds since 1970.
fn moment(text: &str) -> Result<i64, String> {
    time::moment(text, Timestamp::now(), &TimeZone::UTC).map(|nanos| time::in_unit(nanos, TimeUnit::Micro))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_item() {
        let read = |line: &str| of_line(line.as_bytes()).map(Wanted::item);
        let item = NewItem::new("a").priority(7).due(1_700_000_000_000_000).deduplicate("k");
        assert_eq!(read(r#"{"payload":"a","priority":7,"due":1700000000,"key":"k"}"#), Ok(item));
        assert_eq!(read(r#"{"base64":"/w==","key":null}"#), Ok(NewItem::new([255])));
        for (line, words) in [
            ("{}", "one of"),
            (r#"{"payload":"a","base64":""}"#, "one of"),
            (r#"{"payload":1}"#, "\"payload\" is no text"),
            (r#"{"payload":"a","priority":256}"#, "0 to 255"),
            (r#"{"payload":"a","prio":1}"#, "\"prio\" is none of"),
            (r#"{"payload":"a","due":"soon"}"#, "soon"),
            ("[]", "not an object"),
            ("{", "EOF"),
        ] {
            let wrong = read(line).unwrap_err();
            assert!(wrong.contains(words), "{line}: {wrong}");
        }
    }
}
