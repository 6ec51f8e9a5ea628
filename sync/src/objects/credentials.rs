//! Credentials from a file that somebody may change while it is used: they are rotated so.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use object_store::azure::{AzureAccessKey, AzureCredential, split_sas};
use parking_lot::Mutex;

use super::ini;
use super::settings::Settings;

/// What makes credentials of the values of a file's section.
type Parse<C> = fn(&BTreeMap<String, String>) -> Result<C, String>;

/// A file of credentials.
pub(super) struct FromFile<C> {
    path: PathBuf,
    section: String,
    parse: Parse<C>,
    /// What was read last, and of which state of the file.
    last: Mutex<Option<(Stamp, Arc<C>)>>,
}

/// By what a file that was changed or replaced differs.
type Stamp = (u64, u64, i64, i64);

impl FromFile<AwsCredential> {
    pub(super) fn of_s3(path: PathBuf, settings: &Settings) -> Self {
        FromFile::new(path, settings, aws)
    }
}

impl FromFile<AzureCredential> {
    pub(super) fn of_azure(path: PathBuf, settings: &Settings) -> Self {
        FromFile::new(path, settings, azure)
    }
}

impl<C> FromFile<C> {
    fn new(path: PathBuf, settings: &Settings, parse: Parse<C>) -> Self {
        let section = settings.profile.clone().unwrap_or_else(|| "default".to_owned());
        FromFile { path, section, parse, last: Mutex::new(None) }
    }

    /// The credentials as the file has them now.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, in words that name it.
    pub(super) fn read(&self) -> Result<Arc<C>, String> {
        let wrong = |problem: String| format!("credentials_file {}: {problem}", self.path.display());
        let found = std::fs::metadata(&self.path).map_err(|error| wrong(error.to_string()))?;
        let stamp = (found.ino(), found.len(), found.mtime(), found.mtime_nsec());
        let mut last = self.last.lock();
        if let Some((of, credentials)) = last.as_ref()
            && *of == stamp
        {
            return Ok(Arc::clone(credentials));
        }
        let text = std::fs::read_to_string(&self.path).map_err(|error| wrong(error.to_string()))?;
        let values = ini::section(&text, &self.section);
        let credentials = (self.parse)(&values).map_err(|problem| wrong(format!("section [{}]: {problem}", self.section)))?;
        let credentials = Arc::new(credentials);
        *last = Some((stamp, Arc::clone(&credentials)));
        Ok(credentials)
    }
}

/// Shows no secret.
impl<C> fmt::Debug for FromFile<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FromFile").field("path", &self.path).field("section", &self.section).finish_non_exhaustive()
    }
}

#[async_trait]
impl<C: fmt::Debug + Send + Sync> CredentialProvider for FromFile<C> {
    type Credential = C;

    async fn get_credential(&self) -> object_store::Result<Arc<C>> {
        let path = self.path.display().to_string();
        self.read().map_err(|problem| object_store::Error::Unauthenticated { path, source: problem.into() })
    }
}

fn aws(values: &BTreeMap<String, String>) -> Result<AwsCredential, String> {
    let value = |name: &str| values.get(name).filter(|value| !value.is_empty()).cloned();
    let needed = |name: &str| value(name).ok_or_else(|| format!("it has no {name}"));
    let (key_id, secret_key) = (needed("aws_access_key_id")?, needed("aws_secret_access_key")?);
    Ok(AwsCredential { key_id, secret_key, token: value("aws_session_token") })
}

fn azure(values: &BTreeMap<String, String>) -> Result<AzureCredential, String> {
    let value = |name: &str| values.get(name).filter(|value| !value.is_empty());
    match (value("account_key"), value("sas_token")) {
        (Some(key), None) => {
            let key = AzureAccessKey::try_new(key).map_err(|_| "account_key is not in base64".to_owned())?;
            Ok(AzureCredential::AccessKey(key))
        }
        (None, Some(token)) => {
            let pairs = split_sas(token).map_err(|_| "sas_token is none: give it as the portal shows it".to_owned())?;
            Ok(AzureCredential::SASToken(pairs))
        }
        (None, None) => Err("it has neither account_key nor sas_token".to_owned()),
        (Some(_), Some(_)) => Err("it has both account_key and sas_token: which is meant?".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let (folder, path) = file("[default]\naws_access_key_id = one\naws_secret_access_key = hunter2\n");
        let credentials = FromFile::of_s3(path.clone(), &Settings::new("s3://bucket"));
        let first = credentials.read().unwrap();
        assert_eq!((first.key_id.as_str(), first.token.as_deref()), ("one", None));
        // As long as it is the same it is not made anew.
        assert!(Arc::ptr_eq(&first, &credentials.read().unwrap()));
        // Replaced, as it should be done.
        let new = folder.path().join("new");
        std::fs::write(&new, "[default]\naws_access_key_id = two\naws_secret_access_key = hunter2\naws_session_token = t\n")
            .unwrap();
        std::fs::rename(&new, &path).unwrap();
        let second = credentials.read().unwrap();
        assert_eq!((second.key_id.as_str(), second.token.as_deref()), ("two", Some("t")));
        // Written over.
        std::fs::write(&path, "[default]\naws_access_key_id = three\naws_secret_access_key = hunter2\n").unwrap();
        assert_eq!(credentials.read().unwrap().key_id, "three");
        std::fs::remove_file(&path).unwrap();
        assert!(credentials.read().unwrap_err().starts_with("credentials_file /"));
    }

    #[test]
    fn what_is_missing_is_said_and_no_secret() {
        let (_folder, path) =
            file("[plant]\naws_access_key_id = one\n[azure]\nsas_token = sig=hunter2&sv=1\n[both]\naccount_key=a\nsas_token=b\n");
        let of = |profile: &str| Settings { profile: Some(profile.to_owned()), ..Settings::new("s3://bucket") };
        let said = FromFile::of_s3(path.clone(), &of("plant")).read().unwrap_err();
        assert!(said.ends_with("section [plant]: it has no aws_secret_access_key"), "{said}");
        let azure = FromFile::of_azure(path.clone(), &of("azure"));
        assert!(matches!(&*azure.read().unwrap(), AzureCredential::SASToken(pairs) if pairs.len() == 2));
        assert!(!format!("{azure:?}").contains("hunter2"));
        for (profile, expected) in [("both", "which is meant?"), ("other", "neither account_key nor sas_token")] {
            let said = FromFile::of_azure(path.clone(), &of(profile)).read().unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
    }
}
