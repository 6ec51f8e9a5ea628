//! What a target's URL says.

use std::path::PathBuf;

use object_store::path::Path;
use url::Url;

use super::settings::{NotASetting, Settings};

/// Where objects go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Location {
    /// Below a folder.
    Folder(PathBuf),
    /// In a bucket of S3.
    S3 { bucket: String, prefix: Path },
    /// In a container of Azure, of an account that the URL may name.
    Azure { container: String, account: Option<String>, prefix: Path },
}

const FORMS: &str = "give a folder, s3://bucket/prefix, az://container/prefix, abfss://container@account.dfs.core.windows.net/prefix or \
                     https://account.blob.core.windows.net/container/prefix";

impl Location {
    /// Reads a URL.
    pub(super) fn of(settings: &Settings) -> Result<Self, NotASetting> {
        let text = settings.url.as_str();
        if text.is_empty() {
            return Err(settings.wrong("url", "it is empty", FORMS));
        }
        if !text.contains("://") {
            return Ok(Location::Folder(PathBuf::from(text)));
        }
        let url = Url::parse(text).map_err(|error| settings.wrong("url", format!("it is none: {error}"), FORMS))?;
        if url.query().is_some() || url.fragment().is_some() || url.password().is_some() {
            let advice =
                "options and credentials are said apart from the URL: credentials in the environment or in credentials_file";
            return Err(settings.wrong("url", "it has a query, a fragment or a password", advice));
        }
        match url.scheme() {
            "file" => {
                let folder = url.to_file_path();
                let advice = "give file:///path, with three slashes";
                folder.map(Location::Folder).map_err(|()| settings.wrong("url", "it is no path of this machine", advice))
            }
            "s3" => {
                let bucket = host(settings, &url, "bucket")?;
                Ok(Location::S3 { bucket, prefix: prefix(settings, url.path())? })
            }
            "az" | "abfs" | "abfss" => of_azure(settings, &url),
            "https" => of_account(settings, &url),
            other => Err(settings.wrong("url", format!("there are no targets of {other}://"), FORMS)),
        }
    }
}

/// `az://container/prefix` or `abfss://container@account.dfs.core.windows.net/prefix`.
fn of_azure(settings: &Settings, url: &Url) -> Result<Location, NotASetting> {
    let host = host(settings, url, "container")?;
    let prefix = prefix(settings, url.path())?;
    if url.username().is_empty() {
        return Ok(Location::Azure { container: host, account: None, prefix });
    }
    let account = account_of(settings, &host)?;
    Ok(Location::Azure { container: url.username().to_owned(), account: Some(account), prefix })
}

/// `https://account.blob.core.windows.net/container/prefix`.
fn of_account(settings: &Settings, url: &Url) -> Result<Location, NotASetting> {
    let account = account_of(settings, &host(settings, url, "account")?)?;
    let path = url.path().trim_start_matches('/');
    let (container, below) = path.split_once('/').unwrap_or((path, ""));
    if container.is_empty() {
        return Err(settings.wrong("url", "it names no container", FORMS));
    }
    Ok(Location::Azure { container: container.to_owned(), account: Some(account), prefix: prefix(settings, below)? })
}

fn account_of(settings: &Settings, host: &str) -> Result<String, NotASetting> {
    let ours = host.strip_suffix(".dfs.core.windows.net").or_else(|| host.strip_suffix(".blob.core.windows.net"));
    match ours.filter(|account| !account.is_empty() && !account.contains('.')) {
        Some(account) => Ok(account.to_owned()),
        None => {
            let advice = "for a store of S3 elsewhere give s3://bucket/prefix and endpoint, for one of Azure az://container/prefix, account and endpoint";
            Err(settings.wrong("url", format!("{host:?} is no account of Azure Blob"), advice))
        }
    }
}

fn host(settings: &Settings, url: &Url, what: &str) -> Result<String, NotASetting> {
    match url.host_str() {
        Some(host) if !host.is_empty() && url.port().is_none() => Ok(host.to_owned()),
        Some(host) if !host.is_empty() => {
            Err(settings.wrong("url", "it has a port", "say where the store listens with endpoint, and the bucket in the URL"))
        }
        _ => Err(settings.wrong("url", format!("it names no {what}"), FORMS)),
    }
}

/// What is before the names of objects.
fn prefix(settings: &Settings, path: &str) -> Result<Path, NotASetting> {
    let advice = "give names between single slashes, none of them . or ..";
    Path::from_url_path(path).map_err(|error| settings.wrong("url", error.to_string(), advice))
}

/// A URL as it may be shown: without a password, a query and what else may hide a secret.
pub(super) fn without_secrets(text: &str) -> String {
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    match (shown.split_once("://"), shown.split_once('@')) {
        // Of abfss:// the name before @ is the container, and a password is none of it.
        (Some((scheme, _)), Some((before, after))) => {
            let name = before[scheme.len() + 3..].split(':').next().unwrap_or_default();
            format!("{scheme}://{name}@{after}")
        }
        _ => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Result<Location, NotASetting> {
        Location::of(&Settings::new(url))
    }

    #[test]
    fn urls_say_where() {
        assert_eq!(of("/mnt/archive"), Ok(Location::Folder("/mnt/archive".into())));
        assert_eq!(of("archive"), Ok(Location::Folder("archive".into())));
        assert_eq!(of("file:///mnt/an%20archive"), Ok(Location::Folder("/mnt/an archive".into())));
        let prefix = || Path::from("plants/north");
        assert_eq!(of("s3://bucket/plants/north/"), Ok(Location::S3 { bucket: "bucket".into(), prefix: prefix() }));
        assert_eq!(of("s3://bucket"), Ok(Location::S3 { bucket: "bucket".into(), prefix: Path::default() }));
        let azure = |account: Option<&str>| {
            Ok(Location::Azure { container: "box".into(), account: account.map(str::to_owned), prefix: prefix() })
        };
        assert_eq!(of("az://box/plants/north"), azure(None));
        assert_eq!(of("abfss://box@acme.dfs.core.windows.net/plants/north"), azure(Some("acme")));
        assert_eq!(of("https://acme.blob.core.windows.net/box/plants/north"), azure(Some("acme")));
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said() {
        for (url, expected) in [
            ("", "it is empty; give a folder"),
            ("gs://bucket", "there are no targets of gs://"),
            ("memory:///a", "there are no targets of memory://"),
            ("s3://", "it names no bucket"),
            ("s3://bucket:9000/a", "it has a port; say where the store listens with endpoint"),
            ("s3://bucket/a//b", "give names between single slashes"),
            ("s3://bucket?region=x", "it has a query"),
            ("file://host/path", "it is no path of this machine"),
            ("https://minio.example/bucket", "\"minio.example\" is no account of Azure Blob; for a store of S3"),
            ("https://acme.blob.core.windows.net/", "it names no container"),
        ] {
            let said = of(url).unwrap_err().to_string();
            assert!(said.contains(expected) && said.starts_with("url of the target"), "{url}: {said}");
        }
    }

    #[test]
    fn secrets_in_a_url_are_not_shown() {
        for url in ["s3://user:hunter2@bucket/a", "az://box/a?sig=hunter2", "https://acme.blob.core.windows.net/box#hunter2"] {
            let said = of(url).unwrap_err().to_string();
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
