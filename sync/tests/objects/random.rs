//! Any operations over links on which any request may fail in any way.

use std::collections::BTreeMap;
use std::time::Duration;

use alluvium_sync::objects::{NewObject, NotPut, Unfinished};
use bytes::Bytes;
use fastrand::Rng;

use crate::support::{Fault, Kind, MIB, Proxy, Rule, Store, bytes, key, names, put_with, seeded};

fn fault(random: &mut Rng) -> Fault {
    match random.u32(0..8) {
        0 => Fault::Lost,
        1 => Fault::BrokenOff,
        2 => Fault::ReplyLost,
        3 => Fault::Mistaken,
        4 => Fault::Truncated(random.usize(0..400)),
        5 => Fault::Late(Duration::from_millis(random.u64(0..30))),
        6 => Fault::Answer(500, vec![], String::new()),
        _ => Fault::Answer(429, vec![("retry-after", "0".to_owned())], String::new()),
    }
}

/// Lets one in so many requests fail.
fn bad(random: &mut Rng, proxy: &Proxy, one_in: usize) {
    let rules = (0..12).map(|_| Rule { after: random.usize(0..2 * one_in), ..Rule::once(fault(random), |_, _| true) });
    proxy.rules(rules.collect::<Vec<_>>());
}

#[tokio::test]
async fn nothing_is_lost_doubled_or_mixed_up() {
    let mut random = seeded(29_014);
    let cases = std::env::var("ALLUVIUM_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(6);
    for case in 0..cases {
        let kind = Kind::REMOTE[case % Kind::REMOTE.len()];
        let store = Store::new(kind).await;
        let (target, proxy) = store.behind_proxy().await;
        let mut expected = BTreeMap::<String, Bytes>::new();
        for step in 0..6 {
            let one_in = random.usize(1..6);
            let object = bytes(random.u64(..), if random.u8(0..3) == 0 { 9 * MIB } else { random.usize(0..100_000) });
            let is_new = random.bool();
            let name = if is_new { format!("gateways/gw=a/{}", random.u8(0..3)) } else { key(&object) };
            let mut unfinished: Option<Unfinished> = None;
            let mut tries = 0;
            loop {
                bad(&mut random, &proxy, one_in);
                tries += 1;
                assert!(tries < 200, "{kind:?} case {case} step {step}");
                if is_new {
                    let Ok(new) = target.put_new(&name, &object).await else { continue };
                    match (new, expected.get(&name)) {
                        (NewObject::Created | NewObject::AlreadyThere, None) => drop(expected.insert(name, object)),
                        (NewObject::Taken { hash }, Some(there)) => assert_eq!(hash, alluvium_sync::remote::Hash::of(there)),
                        (NewObject::AlreadyThere, Some(there)) => assert_eq!(*there, object),
                        other => panic!("{kind:?} case {case} step {step}: {other:?}"),
                    }
                } else {
                    // What was told last is all that a restart leaves.
                    let mut told = unfinished.clone();
                    match put_with(&target, &object, unfinished, &mut |now| told = Some(now.clone())).await {
                        Ok(_) => drop(expected.insert(name, object)),
                        Err(NotPut::Trouble(trouble)) if !trouble.kind.of_object() => {
                            unfinished = told;
                            continue;
                        }
                        Err(error) => panic!("{kind:?} case {case} step {step}: {error}"),
                    }
                }
                break;
            }
        }
        proxy.rules([]);
        assert_eq!(names(&target).await, expected.keys().cloned().collect::<Vec<_>>(), "{kind:?} case {case}");
        for (name, object) in expected {
            assert_eq!(target.get_bytes(&name, 9 * MIB).await.unwrap(), object, "{kind:?} case {case}: {name}");
        }
    }
}
