//! The document of the API beside the routes that there are.

use std::collections::BTreeSet;

use super::*;

/// Every path, as the router itself prints them: also one that was added without a word in the document.
#[test]
fn every_route_is_in_the_document() {
    let (routes, document) = routes();
    let printed = format!("{routes:?}");
    let (printed, _fallbacks) = printed.split_once("fallback_router").unwrap();
    let paths: BTreeSet<&str> = printed.split('"').filter(|part| part.starts_with('/')).collect();
    let document: serde_json::Value = serde_json::from_slice(document.get().unwrap()).unwrap();
    let described: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(paths, described);
    assert!(described.contains("/api/v1/kv/{key}") && described.contains("/health/ready"));
}

#[test]
fn headers_that_are_heard_are_in_the_document() {
    let (_, document) = routes();
    let document: serde_json::Value = serde_json::from_slice(document.get().unwrap()).unwrap();
    let of = |path: &str, method: &str| -> BTreeSet<String> {
        let parameters = document["paths"][path][method]["parameters"].as_array().unwrap();
        let in_header = parameters.iter().filter(|parameter| parameter["in"] == "header");
        in_header.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of("/api/v1/changes", "get"), BTreeSet::from(["Last-Event-ID".to_owned()]));
    assert_eq!(of("/api/v1/write", "post"), ["Content-Encoding", "Idempotency-Key"].map(str::to_owned).into());
}

#[test]
fn every_operation_says_what_it_does_needs_and_answers() {
    let (_, document) = routes();
    let document: serde_json::Value = serde_json::from_slice(document.get().unwrap()).unwrap();
    let mut ids = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let named = format!("{method} {path}");
            assert!(ids.insert(operation["operationId"].as_str().expect(&named)), "twice: {named}");
            assert!(operation["summary"].as_str().expect(&named).ends_with('.'), "{named}");
            let variables: BTreeSet<&str> = path.split(['{', '}']).skip(1).step_by(2).collect();
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let in_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
            assert_eq!(in_path.map(|one| one["name"].as_str().unwrap()).collect::<BTreeSet<_>>(), variables, "{named}");
            for parameter in &parameters {
                assert!(!parameter["schema"].to_string().contains("null"), "{named}: {parameter}");
            }
            let responses = operation["responses"].as_object().expect(&named);
            assert!(responses.keys().any(|status| status.starts_with('2')), "{named}");
            if path.starts_with("/api/v1") {
                assert_eq!(operation["security"], serde_json::json!([{ "token": [] }]), "{named}");
                for failed in ["401", "403"] {
                    assert!(responses[failed]["content"]["application/problem+json"]["schema"].is_object(), "{named}");
                }
            }
        }
    }
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
}
