//! What goes wrong, as real stores say it.

use std::time::Duration;

use alluvium_sync::objects::{Kind as Trouble, Settings, Target};
use bytes::Bytes;

use crate::support::{Fault, Kind, Rule, Store};

async fn put_new(target: &Target) -> Result<(), alluvium_sync::objects::Trouble> {
    target.put_new("gateways/gw=a/1", &Bytes::from_static(b"manifest")).await.map(|_| ())
}

#[tokio::test]
async fn credentials_that_are_not_taken_are_refused_and_changed_ones_are_read() {
    let store = Store::new(Kind::S3s).await;
    let target = store.target();
    let (id, secret) = crate::support::servers::ACCESS_KEY;
    for (id, secret) in [(id, "wrong"), ("AKIANOBODY", secret)] {
        store.credentials(id, secret);
        let trouble = put_new(&target).await.unwrap_err();
        assert_eq!(trouble.kind, Trouble::Refused, "{trouble}");
        assert!(!trouble.to_string().contains(secret), "{trouble}");
    }
    std::fs::remove_file(store.folder.join("credentials")).unwrap();
    let trouble = put_new(&target).await.unwrap_err();
    assert_eq!(trouble.kind, Trouble::Refused, "{trouble}");
    assert!(trouble.to_string().contains("credentials_file"), "{trouble}");
    // As they are rotated: nothing is opened anew.
    store.credentials(id, secret);
    put_new(&target).await.unwrap();
}

#[tokio::test]
async fn a_wrong_key_of_azure_is_refused() {
    let store = Store::new(Kind::Azurite).await;
    let file = store.folder.join("azure");
    std::fs::write(&file, "account_key = aHVudGVyMg==\n").unwrap();
    let settings = Settings { credentials_file: Some(file.clone()), ..store.settings(Kind::Azurite.at()) };
    let target = Target::open(&settings).unwrap();
    let trouble = put_new(&target).await.unwrap_err();
    assert_eq!(trouble.kind, Trouble::Refused, "{trouble}");
    std::fs::write(&file, "sas_token = sv=2021-12-02&ss=b&sig=hunter2\n").unwrap();
    let trouble = put_new(&target).await.unwrap_err();
    assert_eq!(trouble.kind, Trouble::Refused, "{trouble}");
    assert!(!trouble.to_string().contains("hunter2"), "{trouble}");
    std::fs::write(&file, format!("account_key = {}\n", crate::support::stores::AZURITE.1)).unwrap();
    put_new(&target).await.unwrap();
}

#[tokio::test]
async fn a_bucket_is_named_in_the_path_or_in_the_host() {
    let store = Store::new(Kind::Moto).await;
    let (_, proxy) = store.behind_proxy().await;
    proxy.rules([Rule::always(Fault::Answer(403, vec![], String::new()), |_, _| true)]);
    for (virtual_hosted, expected) in
        [(false, format!("/{}/north/gateways/gw%3Da/1", store.bucket)), (true, "/north/gateways/gw%3Da/1".to_owned())]
    {
        let settings = Settings { virtual_hosted, ..store.settings(proxy.at) };
        put_new(&Target::open(&settings).unwrap()).await.unwrap_err();
        let paths: Vec<_> = proxy.seen().into_iter().map(|seen| seen.path).collect();
        assert_eq!(paths, [expected]);
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_a_matter_of_settings() {
    // s3s-fs makes whatever is not there.
    for kind in [Kind::Moto, Kind::Azurite] {
        let store = Store::new(kind).await;
        let settings = store.settings(kind.at());
        let settings = Settings { url: settings.url.replace(&store.bucket, "nowhere"), ..settings };
        let trouble = put_new(&Target::open(&settings).unwrap()).await.unwrap_err();
        assert_eq!(trouble.kind, Trouble::Settings, "{kind:?} {trouble}");
    }
}

#[tokio::test]
async fn nobody_listens() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for kind in Kind::REMOTE {
        let store = Store::new(kind).await;
        let trouble = put_new(&Target::open(&store.settings(nowhere)).unwrap()).await.unwrap_err();
        assert_eq!(trouble.kind, Trouble::Unreachable, "{kind:?}");
        assert!(trouble.to_string().contains("Connection refused"), "{kind:?} {trouble}");
    }
}

#[tokio::test]
async fn answers_say_what_to_do() {
    let skewed = "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request time and the current time is too large.</Message></Error>";
    let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    let long_ago = || vec![("date", "Thu, 01 Jan 1970 00:05:00 GMT".to_owned())];
    let throttled = |seconds: Option<u64>| Trouble::Throttled { retry_after: seconds.map(Duration::from_secs) };
    for kind in Kind::REMOTE {
        let (target, proxy) = Store::new(kind).await.behind_proxy().await;
        for (status, headers, body, expected) in [
            (403, vec![], skewed, Trouble::Clock),
            (403, vec![], denied, Trouble::Refused),
            (403, long_ago(), denied, Trouble::Clock),
            (403, long_ago(), "", Trouble::Clock),
            (429, vec![("retry-after", "17".to_owned())], "", throttled(Some(17))),
            (503, vec![("retry-after", "17".to_owned())], "", throttled(Some(17))),
            (503, vec![], "<Error><Code>SlowDown</Code></Error>", throttled(None)),
            (507, vec![], "", Trouble::Full),
            (400, vec![], "<Error><Code>EntityTooLarge</Code></Error>", Trouble::Poisoned),
            (301, vec![], "<Error><Code>PermanentRedirect</Code></Error>", Trouble::Settings),
            (502, vec![], "<html>Bad gateway</html>", Trouble::Unreachable),
            (200, vec![], "<html>Please log in to this hotel's network</html>", Trouble::Unreachable),
        ] {
            proxy.rules([Rule::always(Fault::Answer(status, headers, body.to_owned()), |_, _| true)]);
            let trouble = put_new(&target).await.unwrap_err();
            assert_eq!(trouble.kind, expected, "{kind:?} {status} {body} {trouble}");
        }
        // It clears itself.
        proxy.rules([]);
        put_new(&target).await.unwrap();
    }
}
