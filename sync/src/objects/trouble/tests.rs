use super::*;

fn generic() -> object_store::Error {
    object_store::Error::Generic { store: "test", source: "something".into() }
}

fn answered(status: u16, code: &str) -> Exchange {
    Exchange { status: Some(status), code: Some(code.to_owned()).filter(|code| !code.is_empty()), ..Exchange::default() }
}

fn of(exchange: &Exchange) -> Kind {
    Trouble::of("putting \"a\"", &generic(), exchange).kind
}

#[test]
fn answers_are_sorted_by_what_to_do() {
    let throttled = Kind::Throttled { retry_after: None };
    for (status, code, kind) in [
        (403, "AccessDenied", Kind::Refused),
        (403, "InvalidAccessKeyId", Kind::Refused),
        (400, "ExpiredToken", Kind::Refused),
        (401, "", Kind::Refused),
        (403, "RequestTimeTooSkewed", Kind::Clock),
        (404, "NoSuchBucket", Kind::Settings),
        (404, "ContainerNotFound", Kind::Settings),
        (400, "AuthorizationHeaderMalformed", Kind::Settings),
        (301, "PermanentRedirect", Kind::Settings),
        (307, "", Kind::Settings),
        (501, "", Kind::Settings),
        (404, "NoSuchUpload", Kind::NotFound),
        (404, "", Kind::NotFound),
        (409, "OperationAborted", throttled),
        (429, "", throttled),
        (503, "SlowDown", throttled),
        (503, "ServerBusy", throttled),
        (503, "", Kind::Unreachable),
        (500, "InternalError", Kind::Unreachable),
        (400, "RequestTimeout", Kind::Unreachable),
        (400, "BadDigest", Kind::Unreachable),
        (507, "", Kind::Full),
        (403, "QuotaExceeded", Kind::Full),
        (507, "XMinioStorageFull", Kind::Full),
        (400, "EntityTooLarge", Kind::Poisoned),
        (413, "", Kind::Poisoned),
        (400, "KeyTooLongError", Kind::Poisoned),
    ] {
        assert_eq!(of(&answered(status, code)), kind, "{status} {code}");
    }
    assert_eq!(of(&Exchange::default()), Kind::Unreachable);
}

#[test]
fn a_wrong_clock_is_told_from_wrong_credentials() {
    let azure = |message: &str| Exchange { message: Some(message.to_owned()), ..answered(403, "AuthenticationFailed") };
    let old = "Server failed to authenticate the request. Request date header too old: 'Thu, 01 Jan 1970 00:00:12 GMT'";
    assert_eq!(of(&azure(old)), Kind::Clock);
    assert_eq!(of(&azure("Signature not valid in the specified time frame")), Kind::Clock);
    assert_eq!(of(&azure("The MAC signature found in the HTTP request is not the same")), Kind::Refused);
    // Whatever a store calls it: what a clock that is years off signs is refused for that.
    for (minutes, kind) in [(0, Kind::Refused), (-9, Kind::Refused), (30_000_000, Kind::Clock), (-20, Kind::Clock)] {
        for code in ["", "AccessDenied", "SignatureDoesNotMatch", "Unheard"] {
            let exchange = Exchange { ahead: Some(SignedDuration::from_mins(minutes)), ..answered(403, code) };
            assert_eq!(of(&exchange), kind, "{minutes} {code}");
        }
    }
    // But it makes no object larger than its clock allows.
    let exchange = Exchange { ahead: Some(SignedDuration::from_mins(20)), ..answered(404, "NoSuchKey") };
    assert_eq!(of(&exchange), Kind::NotFound);
    assert_eq!(of(&Exchange { distrust: Some(Distrust::Time), ..Exchange::default() }), Kind::Clock);
    assert_eq!(of(&Exchange { distrust: Some(Distrust::Signer), ..Exchange::default() }), Kind::Untrusted);
}

#[test]
fn a_store_says_when_to_come_again() {
    let exchange = Exchange { retry_after: Some(Duration::from_secs(7)), ..answered(503, "") };
    assert_eq!(of(&exchange), Kind::Throttled { retry_after: Some(Duration::from_secs(7)) });
}

#[test]
fn a_folder_says_it_in_numbers() {
    for (number, kind) in [
        (28, Kind::Full),
        (122, Kind::Full),
        (13, Kind::Refused),
        (30, Kind::Refused),
        (36, Kind::Poisoned),
        (2, Kind::NotFound),
        (5, Kind::Unreachable),
    ] {
        let source = Box::new(io::Error::from_raw_os_error(number));
        let error = object_store::Error::Generic { store: "LocalFileSystem", source };
        assert_eq!(Trouble::of("", &error, &Exchange::default()).kind, kind, "{number}");
    }
    assert_eq!(Trouble::local("", &io::Error::from_raw_os_error(28)).kind, Kind::Full);
    assert_eq!(Trouble::local("", &io::Error::from_raw_os_error(5)).kind, Kind::Local);
}

#[test]
fn it_is_said_what_happened_and_what_to_do() {
    let exchange = Exchange { message: Some("Access Denied.".to_owned()), ..answered(403, "AccessDenied") };
    let said = Trouble::of("putting \"a\"", &generic(), &exchange).to_string();
    assert_eq!(said, "putting \"a\": AccessDenied (403): Access Denied.; check the credentials and what they may do");
    let source = Box::new(io::Error::from_raw_os_error(5));
    let said =
        Trouble::of("putting \"a\"", &object_store::Error::Generic { store: "test", source }, &Exchange::default()).to_string();
    assert!(said.starts_with("putting \"a\": Generic test error: Input/output error (os error 5); "), "{said}");
}
