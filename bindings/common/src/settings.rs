//! Settings by their names, as text: what is named as in [`Settings`] means the same.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use alluvium::{Error, OnDamage, Profile, Result, Settings, words};

/// The names there are.
const NAMES: &str = "profile, on_damage, commit_interval, memtable_bytes, page_cache_bytes, catalog_cache_bytes, batch_bytes, value_bytes, \
                     document_bytes, document_depth, log_file_bytes, seal_log_bytes, seal_after, history_bytes, audit_entries, writers, \
                     ballast_bytes, background, keep, disk_bytes, required";

/// Changes one setting. Sizes are bytes, durations are written like `90s` or `1h30m`, `keep` and `disk_bytes` bound what is kept, and `required` is a
/// delivery that has to hold rows before these go, which may be said several times.
///
/// # Errors
///
/// [`Error::Invalid`] where there is no such setting, or none of that value.
pub fn set(settings: &mut Settings, name: &str, value: &str) -> Result<()> {
    match name {
        "profile" => settings.profile = one_of(name, value, &[("open", Profile::Open), ("compact", Profile::Compact)])?,
        "on_damage" => {
            settings.on_damage = one_of(name, value, &[("receipt", OnDamage::Receipt), ("refuse", OnDamage::Refuse)])?;
        }
        "commit_interval" => settings.commit_interval = duration(name, value)?,
        "memtable_bytes" => settings.memtable_bytes = number(name, value)?,
        "page_cache_bytes" => settings.page_cache_bytes = number(name, value)?,
        "catalog_cache_bytes" => settings.catalog_cache_bytes = number(name, value)?,
        "batch_bytes" => settings.batch_bytes = number(name, value)?,
        "value_bytes" => settings.value_bytes = number(name, value)?,
        "document_bytes" => settings.document_bytes = number(name, value)?,
        "document_depth" => settings.document_depth = number(name, value)?,
        "log_file_bytes" => settings.log_file_bytes = number(name, value)?,
        "seal_log_bytes" => settings.seal_log_bytes = number(name, value)?,
        "seal_after" => settings.seal_after = duration(name, value)?,
        "history_bytes" => settings.history_bytes = number(name, value)?,
        "audit_entries" => settings.audit_entries = number(name, value)?,
        "writers" => settings.writers = number(name, value)?,
        "ballast_bytes" => settings.ballast_bytes = number(name, value)?,
        "background" => settings.background = one_of(name, value, &[("true", true), ("false", false)])?,
        "keep" => settings.retention.keep.age = Some(duration(name, value)?),
        "disk_bytes" => settings.retention.disk_bytes = Some(number(name, value)?),
        "required" => settings.retention.required.push(value.to_owned()),
        _ => return Err(Error::invalid(format_args!("there is no setting {name:?}; there are {NAMES}"))),
    }
    Ok(())
}

fn number<N: FromStr>(name: &str, value: &str) -> Result<N>
where
    N::Err: Display,
{
    value.parse().map_err(|error| Error::invalid(format_args!("{name} takes a whole number, not {value:?}: {error}")))
}

fn duration(name: &str, value: &str) -> Result<Duration> {
    let parsed = words::duration(value)?;
    let nanos = (parsed.months == 0).then_some(parsed.nanos).and_then(|nanos| u64::try_from(nanos).ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| {
        Error::invalid(format_args!("{name} takes a fixed time of less than 584 years, such as 90s or 1h30m, not {value:?}"))
    })
}

fn one_of<T: Copy>(name: &str, value: &str, known: &[(&str, T)]) -> Result<T> {
    known.iter().find(|(word, _)| *word == value).map(|(_, meant)| *meant).ok_or_else(|| {
        let words: Vec<_> = known.iter().map(|(word, _)| *word).collect();
        Error::invalid(format_args!("{name} takes {}, not {value:?}", words.join(" or ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_and_changes_something() {
        for name in NAMES.split(", ") {
            let value = match name {
                "profile" => "compact",
                "on_damage" => "refuse",
                "commit_interval" | "seal_after" | "keep" => "1h30m",
                "background" => "false",
                "required" => "cloud",
                _ => "12345",
            };
            let mut settings = Settings::default();
            set(&mut settings, name, value).unwrap();
            assert_ne!(settings, Settings::default(), "{name}");
        }
    }

    #[test]
    fn what_is_none_is_refused_in_words() {
        let refused = |name, value| set(&mut Settings::default(), name, value).unwrap_err().to_string();
        assert!(refused("memory", "1").contains("memtable_bytes"));
        assert!(refused("memtable_bytes", "64MiB").contains("whole number"));
        assert!(refused("seal_after", "1mo").contains("fixed time"));
        assert!(refused("seal_after", "soon").contains("90s"));
        assert!(refused("profile", "small").contains("open or compact"));
    }
}
