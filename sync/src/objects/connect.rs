//! Makes the client of a store from settings and the environment.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::{BackoffConfig, RetryConfig};

use super::credentials::FromFile;
use super::http::Connector;
use super::settings::{NotASetting, Settings};
use super::throttle::Throttle;
use super::tls;

/// The value of a variable of the environment.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Whom a machine or container of Amazon's is, beside keys.
const AMAZON: [&str; 8] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_METADATA_ENDPOINT",
];
/// The same of Microsoft's.
const AZURE: [&str; 6] = [
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_TENANT_ID",
    "AZURE_AUTHORITY_HOST",
    "AZURE_FEDERATED_TOKEN_FILE",
    "IDENTITY_ENDPOINT",
];
/// Azurite's, which are no secret.
const EMULATOR: (&str, &str) =
    ("devstoreaccount1", "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==");

/// How the clients of a bucket of S3 are made.
pub(super) fn s3(
    settings: &Settings,
    bucket: &str,
    throttle: &Arc<Throttle>,
    environment: Environment<'_>,
) -> Result<AmazonS3Builder, NotASetting> {
    refuse(settings, &[("account", settings.account.is_some()), ("emulator", settings.emulator)], "that is of Azure alone")?;
    endpoint_is_url(settings)?;
    let region = settings.region.clone().or_else(|| environment("AWS_REGION")).or_else(|| environment("AWS_DEFAULT_REGION"));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region.unwrap_or_else(|| "us-east-1".to_owned()))
        // Everybody knows how to delete one object, not everybody how to delete many.
        .with_disable_bulk_delete(true)
        .with_virtual_hosted_style_request(settings.virtual_hosted)
        .with_retry(retries(settings))
        .with_http_connector(connector(settings, throttle)?);
    if let Some(endpoint) = &settings.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(path) = &settings.credentials_file {
        let credentials = FromFile::of_s3(path.clone(), settings);
        credentials.read().map_err(|problem| of_file(settings, problem))?;
        builder = builder.with_credentials(Arc::new(credentials));
    } else if let Some(id) = environment("AWS_ACCESS_KEY_ID") {
        let Some(secret) = environment("AWS_SECRET_ACCESS_KEY") else {
            let problem = "AWS_ACCESS_KEY_ID is in the environment, and AWS_SECRET_ACCESS_KEY is not";
            return Err(settings.wrong("credentials_file", problem, "set both, or name a file of credentials"));
        };
        builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        if let Some(token) = environment("AWS_SESSION_TOKEN") {
            builder = builder.with_token(token);
        }
    } else {
        for (name, value) in AMAZON.iter().filter_map(|name| Some((name, environment(name)?))) {
            let key: Result<AmazonS3ConfigKey, _> = name.to_ascii_lowercase().parse();
            let key = key.map_err(|error| settings.wrong("url", error.to_string(), "unset that variable"))?;
            builder = builder.with_config(key, value);
        }
    }
    Ok(builder)
}

/// Such a client.
pub(super) fn s3_client(settings: &Settings, builder: AmazonS3Builder) -> Result<AmazonS3, NotASetting> {
    builder.build().map_err(|error| settings.wrong("url", error.to_string(), "check bucket, region and endpoint"))
}

/// The client of a container of Azure.
pub(super) fn azure(
    settings: &Settings,
    container: &str,
    account: Option<&str>,
    throttle: &Arc<Throttle>,
    environment: Environment<'_>,
) -> Result<MicrosoftAzure, NotASetting> {
    let of_s3 = [("region", settings.region.is_some()), ("virtual_hosted", settings.virtual_hosted)];
    refuse(settings, &of_s3, "that is of S3 alone")?;
    endpoint_is_url(settings)?;
    let named =
        account.map(str::to_owned).or_else(|| settings.account.clone()).or_else(|| environment("AZURE_STORAGE_ACCOUNT_NAME"));
    let account = match named {
        _ if settings.emulator => EMULATOR.0.to_owned(),
        Some(account) => account,
        None => {
            let advice = "set it, or AZURE_STORAGE_ACCOUNT_NAME in the environment, or name it in the URL";
            return Err(settings.wrong("account", "nothing says whose container it is", advice));
        }
    };
    let endpoint = settings.endpoint.clone().or_else(|| settings.emulator.then(|| format!("http://127.0.0.1:10000/{account}")));
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(account)
        .with_container_name(container)
        .with_retry(retries(settings))
        .with_http_connector(connector(settings, throttle)?);
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(path) = &settings.credentials_file {
        let credentials = FromFile::of_azure(path.clone(), settings);
        credentials.read().map_err(|problem| of_file(settings, problem))?;
        builder = builder.with_credentials(Arc::new(credentials));
    } else if settings.emulator {
        builder = builder.with_access_key(EMULATOR.1);
    } else if let Some(key) = environment("AZURE_STORAGE_ACCOUNT_KEY") {
        builder = builder.with_access_key(key);
    } else if let Some(token) = environment("AZURE_STORAGE_SAS_TOKEN") {
        builder = builder.with_config(AzureConfigKey::SasKey, token);
    } else {
        for (name, value) in AZURE.iter().filter_map(|name| Some((name, environment(name)?))) {
            let key: Result<AzureConfigKey, _> = name.to_ascii_lowercase().parse();
            let key = key.map_err(|error| settings.wrong("url", error.to_string(), "unset that variable"))?;
            builder = builder.with_config(key, value);
        }
    }
    // What it says of a key that is none may have the key in it.
    let advice = "check account, container and endpoint, and that the key is in base64 and the SAS as the portal shows it";
    builder.build().map_err(|_| settings.wrong("url", "no client can be made of account, endpoint and credentials", advice))
}

/// Refuses options that say nothing to this kind of target.
pub(super) fn refuse(settings: &Settings, options: &[(&'static str, bool)], problem: &str) -> Result<(), NotASetting> {
    match options.iter().find(|(_, set)| *set) {
        Some((option, _)) => Err(settings.wrong(option, problem, "leave it out")),
        None => Ok(()),
    }
}

fn endpoint_is_url(settings: &Settings) -> Result<(), NotASetting> {
    let Some(endpoint) = &settings.endpoint else { return Ok(()) };
    let advice = "give https://host, https://host:port or, with allow_http, the same with http://";
    let url = url::Url::parse(endpoint).map_err(|error| settings.wrong("endpoint", error.to_string(), advice))?;
    match url.scheme() {
        _ if url.host_str().is_none_or(str::is_empty) || !url.username().is_empty() || url.query().is_some() => {
            Err(settings.wrong("endpoint", "it is no address alone", advice))
        }
        "https" => Ok(()),
        "http" if settings.allow_http || settings.emulator => Ok(()),
        "http" => {
            let advice = "give https://, or set allow_http where the way there is trusted";
            Err(settings.wrong("endpoint", "whoever is on the way could read and change what is sent by http://", advice))
        }
        other => Err(settings.wrong("endpoint", format!("nothing is asked by {other}://"), advice)),
    }
}

fn of_file(settings: &Settings, problem: String) -> NotASetting {
    settings.wrong("credentials_file", problem, "name a file that has them")
}

fn connector(settings: &Settings, throttle: &Arc<Throttle>) -> Result<Connector, NotASetting> {
    Ok(Connector {
        tls: tls::client(settings)?,
        allow_http: settings.allow_http || settings.emulator,
        connect: Duration::from_secs(settings.connect_seconds),
        patience: settings.stall(),
        throttle: Arc::clone(throttle),
    })
}

/// Few and soon: who asked knows better what to do next.
fn retries(settings: &Settings) -> RetryConfig {
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(2), base: 2.0 };
    RetryConfig { backoff, max_retries: settings.retries, retry_timeout: Duration::from_secs(60) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Target;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn keys(name: &str) -> Option<String> {
        match name {
            "AWS_ACCESS_KEY_ID" => Some("AKIAEXAMPLE".to_owned()),
            "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" => Some("hunter2".to_owned()),
            "AZURE_STORAGE_ACCOUNT_KEY" => Some("aHVudGVyMg==".to_owned()),
            _ => None,
        }
    }

    fn refused(settings: &Settings, environment: Environment<'_>) -> String {
        let refused = Target::open_in(settings, Arc::new(Throttle::new(None, None)), environment);
        refused.err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn options_that_cannot_be_are_named_with_what_to_do() {
        let s3 = || Settings::new("s3://bucket/a");
        let az = || Settings::new("az://box/a");
        let half = |name: &str| keys(name).filter(|_| name == "AWS_ACCESS_KEY_ID");
        let absent = || Some("/nowhere/at/all".into());
        for (settings, environment, expected) in [
            (
                Settings { account: Some("a".into()), ..s3() },
                &nothing as Environment<'_>,
                "account of the target \"s3://bucket/a\": that is of Azure alone; leave it out",
            ),
            (Settings { region: Some("a".into()), ..az() }, &nothing, "region of the target"),
            (
                Settings { endpoint: Some("http://store.example".into()), ..s3() },
                &nothing,
                "endpoint of the target \"s3://bucket/a\": whoever is on the way",
            ),
            (Settings { endpoint: Some("store.example:9000".into()), ..s3() }, &nothing, "endpoint of the target"),
            (
                Settings { credentials_file: absent(), ..s3() },
                &nothing,
                "credentials_file of the target \"s3://bucket/a\": credentials_file /nowhere/at/all: No such file",
            ),
            (
                Settings { root_certificates: absent(), ..s3() },
                &nothing,
                "root_certificates of the target \"s3://bucket/a\": /nowhere/at/all: No such file",
            ),
            (s3(), &half, "AWS_SECRET_ACCESS_KEY is not; set both"),
            (az(), &nothing, "account of the target \"az://box/a\": nothing says whose container it is"),
            (Settings { stall_seconds: 0, ..s3() }, &nothing, "stall_seconds of the target \"s3://bucket/a\": it is 0"),
            (
                Settings { endpoint: Some("https://x.example".into()), ..Settings::new("/mnt/x") },
                &nothing,
                "endpoint of the target \"/mnt/x\": a folder has none; leave it out",
            ),
        ] {
            let said = refused(&settings, environment);
            assert!(said.contains(expected), "{said}");
        }
        let wrong_key = |name: &str| (name == "AZURE_STORAGE_ACCOUNT_KEY").then(|| "hunter2!".to_owned());
        let said = refused(&Settings { account: Some("acme".into()), ..az() }, &wrong_key);
        assert!(said.contains("the key is in base64") && !said.contains("hunter2"), "{said}");
    }

    #[test]
    fn no_secret_is_shown() {
        let account = Settings { account: Some("acme".into()), ..Settings::new("az://box/a") };
        for settings in [Settings::new("s3://bucket/a"), account] {
            let target = Target::open_in(&settings, Arc::new(Throttle::new(None, None)), &keys).unwrap();
            let shown = format!("{target:?} {target} {settings:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");
        }
    }
}
