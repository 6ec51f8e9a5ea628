//! What a server does, from one file in TOML, then the environment, then the command line, each before the last.
//!
//! Every key of a section can be set by a variable `ALLUVIUM_SECTION__KEY`, such as `ALLUVIUM_LIMITS__CONNECTIONS`.

mod age;
mod engine;
mod http;
mod http_at;
mod retention;
mod sync;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::failure::{Failure, Outcome};
use crate::serve::Settings;
pub(crate) use http::{ANY, HttpSettings, Network, Origin};
pub(crate) use http_at::HttpAt;
pub(crate) use retention::RetentionSettings;
pub(crate) use sync::SyncSettings;

/// How variables begin.
const PREFIX: &str = "ALLUVIUM_";

/// All that can be said. What is not said is as it is by default.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The database directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<PathBuf>,
    /// The gateway's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gateway: Option<String>,
    pub(crate) listen: Listen,
    pub(crate) http: HttpSettings,
    pub(crate) log: Log,
    pub(crate) limits: Settings,
    pub(crate) sync: SyncSettings,
    pub(crate) retention: RetentionSettings,
    #[serde(with = "engine::Described")]
    pub(crate) engine: alluvium::Settings,
}

/// Where the server listens.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listen {
    /// For devices, over QUIC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quic: Option<SocketAddr>,
    /// For people and tools, over HTTP.
    pub(crate) http: HttpAt,
}

/// What it says of itself, on stderr.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    /// How much: `warn`, `info`, `alluvium_server=debug`, …
    pub(crate) level: String,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// An object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Log { format: LogFormat::Text, level: "warn".to_owned() }
    }
}

/// Which file.
#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// A file of settings in TOML: `alluvium config show` prints all there are
    #[arg(long, value_name = "FILE", env = "ALLUVIUM_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

impl ConfigFile {
    /// Its settings, and those of the environment over them.
    pub(crate) fn load(&self) -> Outcome<Config> {
        let text = match &self.config {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| Failure::io("read", path.display(), &error))?,
        };
        let origin = self.config.as_deref().unwrap_or(Path::new("no file"));
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Config::read(&text, origin, variables)
    }
}

impl Config {
    fn read(text: &str, origin: &Path, variables: impl Iterator<Item = (String, String)>) -> Outcome<Config> {
        // By itself first, so that what is wrong with it is said with its line.
        let of_file = |error: toml::de::Error| Failure::usage(format_args!("{}: {error}", origin.display()));
        toml::from_str::<Config>(text).map_err(of_file)?;
        let mut table: Table = toml::from_str(text).map_err(of_file)?;
        for (name, value) in variables {
            let Some((section, key)) = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once("__")) else { continue };
            let section = table.entry(section.to_lowercase()).or_insert_with(|| Value::Table(Table::new()));
            let section = section.as_table_mut().ok_or_else(|| Failure::usage(format_args!("{name} names no section")))?;
            section.insert(key.to_lowercase(), literal(&value));
            let checked = Config::deserialize(table.clone());
            checked.map_err(|error| Failure::usage(format_args!("{name}={value}: {}", error.message())))?;
        }
        let mut config = Config::deserialize(table).map_err(of_file)?;
        config.check()?;
        config.engine.retention = config.retention.retention(&config.sync);
        Ok(config)
    }

    /// Refuses what cannot be meant.
    fn check(&self) -> Outcome {
        let filter = self.log.level.parse::<tracing_subscriber::EnvFilter>();
        filter.map_err(|error| Failure::usage(format_args!("log.level = {:?}: {error}", self.log.level)))?;
        self.http.check()?;
        self.sync.check()?;
        self.retention.check(&self.sync)?;
        self.limits.check()
    }

    /// All of it, as a file would say it.
    pub(crate) fn to_toml(&self) -> Outcome<String> {
        toml::to_string_pretty(self).map_err(Failure::failed)
    }
}

/// What a variable says: a number or such where it is one, else text.
fn literal(value: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("value = {value}")).ok().and_then(|mut table| table.remove("value"));
    parsed.unwrap_or_else(|| Value::String(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Outcome<Config> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::read(text, Path::new("alluvium.toml"), variables)
    }

    fn refusal(text: &str, variables: &[(&str, &str)]) -> String {
        match read(text, variables) {
            Err(Failure::Usage(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_environment_goes_before_the_file_and_both_before_the_defaults() {
        let text = "data = '/data'\n[listen]\nhttp = 'none'\n[limits]\nconnections = 5\nidle = '1m 30s'\n[engine]\nwriters = 7\n";
        let variables =
            [("ALLUVIUM_LIMITS__CONNECTIONS", "6"), ("ALLUVIUM_LISTEN__QUIC", "[::1]:9"), ("ALLUVIUM_LOG", "x"), ("HOME", "/")];
        let config = read(text, &variables).unwrap();
        assert_eq!((config.data.as_deref(), config.listen.http), (Some(Path::new("/data")), HttpAt(None)));
        assert_eq!((config.limits.connections, config.limits.idle), (6, Duration::from_secs(90)));
        assert_eq!((config.listen.quic, config.engine.writers), (Some("[::1]:9".parse().unwrap()), 7));
        assert_eq!(config.limits.streams, Settings::default().streams);
        let network = [("ALLUVIUM_HTTP__ALLOW_FROM", "['10.0.0.0/8']"), ("ALLUVIUM_HTTP", "none")];
        assert_eq!(read("", &network).unwrap().http.allow_from, ["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(read("", &[]).unwrap(), Config::default());
    }

    #[test]
    fn what_is_shown_can_be_read_back() {
        let text = "gateway = 'g'\n[log]\nformat = 'json'\nlevel = 'info'\n[engine]\nprofile = 'compact'\nseal_after = '2h'\n";
        let config = read(text, &[]).unwrap();
        let shown = config.to_toml().unwrap();
        assert_eq!(read(&shown, &[]).unwrap(), config, "{shown}");
        assert!(shown.contains("seal_after = \"2h\"") && shown.contains("memtable_bytes = 67108864"), "{shown}");
    }

    #[test]
    fn what_goes_waits_for_the_targets_that_are_required() {
        let bounds = "[retention]\nkeep = '90d'\ndisk_bytes = 1000000000\n[retention.tables.air]\nbytes = 5\n";
        let refused = refusal(bounds, &[]);
        assert!(refused.contains("required = true") && refused.contains("unheld = \"drop\""), "{refused}");
        let target =
            |name: &str, required: bool| format!("[sync.targets.{name}]\nurl = 's3://b/{name}'\nrequired = {required}\n");
        let config = read(&format!("{bounds}{}{}", target("a", true), target("b", false)), &[]).unwrap();
        let retention = &config.engine.retention;
        assert_eq!((&retention.required[..], retention.disk_bytes), (&["a".to_owned()][..], Some(1_000_000_000)));
        assert_eq!(retention.keep.age, Some(Duration::from_secs(90 * 86_400)));
        assert_eq!((retention.tables["air"].age, retention.tables["air"].bytes), (None, Some(5)));
        assert_eq!(read(&config.to_toml().unwrap(), &[]).unwrap(), config);
        let dropping = read(&bounds.replace("keep = '90d'", "keep = '90d'\nunheld = 'drop'"), &[]).unwrap();
        assert_eq!(dropping.engine.retention.unheld, alluvium::Unheld::Drop);
        // Ages are written as they are said.
        let ages = |text: &str| read(&format!("[retention]\nunheld = 'drop'\nkeep = '{text}'\n"), &[]);
        let shown = |text: &str| ages(text).unwrap().to_toml().unwrap();
        assert!(shown("2w").contains("keep = \"14d\"") && shown("1d 30m").contains("keep = \"24h 30m\""), "{}", shown("1d 30m"));
        for wrong in ["1 month", "-1d", "soon"] {
            assert!(matches!(ages(wrong), Err(Failure::Usage(said)) if said.contains(wrong)), "{wrong}");
        }
        // A budget by itself makes writers wait for room, whoever makes it.
        read("[retention]\ndisk_bytes = 1000000000\n", &[]).unwrap();
    }

    #[test]
    fn what_is_wrong_is_named() {
        let unknown = refusal("[limits]\nconections = 5\n", &[]);
        assert!(unknown.contains("alluvium.toml") && unknown.contains("line 2") && unknown.contains("conections"), "{unknown}");
        assert!(refusal("[limits]\nidle = 5\n", &[]).contains("idle"));
        assert!(refusal("[listen]\nhttp = 'nowhere'\n", &[]).contains("127.0.0.1:7424"));
        assert!(refusal("[log]\nlevel = 'a=b=c'\n", &[]).contains("log.level"));
        assert!(refusal("[limits]\nlanes = 0\n", &[]).contains("limits.lanes"));
        assert!(refusal("[http]\nallow_from = []\n", &[]).contains("http.allow_from"));
        assert!(refusal("[http]\nallow_from = ['lan']\n", &[]).contains("192.168.1.0/24"));
        assert!(refusal("[http]\ncors_origins = ['panel']\n", &[]).contains("https://panel.example"));
        let variable = refusal("", &[("ALLUVIUM_LIMITS__STREAMS", "many")]);
        assert!(variable.contains("ALLUVIUM_LIMITS__STREAMS=many"), "{variable}");
        assert!(refusal("", &[("ALLUVIUM_NOTHING__AT_ALL", "1")]).contains("nothing"));
    }
}
