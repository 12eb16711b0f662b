//! Dead letters of persons who are pseudonymous or erased, in the shapes that rejects come in.

use spendstream_schemas::config::MappingConfig;
use spendstream_schemas::pseudonym::{Cover, Dimension, ErasedList, Erasure, PrivacyKey, Pseudonyms};

use super::{Names, STANDARD, covered};
use crate::batch::DeadLetter;
use base64::Engine as _;

fn key() -> PrivacyKey {
    PrivacyKey::new("0123456789abcdef").unwrap()
}

fn cover(pseudonymous: &[&str], erased: &[(&str, &str)]) -> Cover {
    let erased = erased.iter().map(|(name, value)| {
        let dimension: Dimension = name.parse().unwrap();
        (dimension.clone(), Erasure::new(&key(), dimension, value).hash())
    });
    let pseudonymous = pseudonymous.iter().map(|name| name.parse().unwrap());
    Cover::new(Pseudonyms::new(key(), pseudonymous), ErasedList::new(key(), erased))
}

fn letter(payload: &str, kafka_key: &str) -> DeadLetter {
    let headers = vec![("ce_id".to_owned(), b"eve/1".to_vec()), ("ce_subject".to_owned(), b"acme".to_vec())];
    DeadLetter {
        offset: 7,
        index: 0,
        key: Some(kafka_key.as_bytes().to_vec()),
        headers,
        payload: payload.as_bytes().to_vec(),
        reason: "wrong_type",
        detail: "'x' is a text; send a number".to_owned(),
        truncated_sha256: None,
    }
}

fn kept(letter: DeadLetter, cover: &Cover) -> DeadLetter {
    let mapped =
        MappingConfig { fields: [("user".to_owned(), "data.who".to_owned())].into(), ..MappingConfig::default() };
    let message = letter.payload.clone();
    covered(letter, &message, cover, &Names::new(cover, &[mapped]))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const SHAPES: [&str; 8] = [
    r#"{"id":"eve/1","user":"Eve","tags":{"mail":"eve@x.org"},"usage":{"input_tokens":1.50}}"#,
    r#"{"user":{"id":"eve"},"n":[1,2]}"#,
    r#"{"attributes":[{"key":"a","value":{"stringValue":"b"}},{"key":"user.id","value":{"stringValue":"eve"}}]}"#,
    r#"{"metadata":{"user_api_key_user_id":"eve"},"x":"\u0065ve"}"#,
    r#"{"data":{"who":"eve"}}"#,
    r#"{"user":"eve"}
{"user_id":"eve","id":"2"}"#,
    r#"[{"identity":{"arn":"eve"}}]"#,
    r#"{"llm.user":"eve", "odd": "{\"user\":\"eve\"}"}"#,
];

#[test]
fn no_shape_of_a_letter_names_its_user() {
    let eve = key().pseudonym(&Dimension::USER, "eve");
    for (cover, expected) in [
        (cover(&["user_id"], &[]), eve.as_str()),
        (cover(&[], &[("user_id", "EVE")]), "erased"),
        (cover(&["user_id"], &[("user_id", "eve")]), "erased"),
    ] {
        for shape in SHAPES {
            let found = kept(letter(shape, "Eve"), &cover);
            let payload = text(&found.payload);
            assert!(payload.contains(expected), "{shape}: {payload}");
            for part in [&found.payload, found.key.as_ref().unwrap(), &found.headers[0].1] {
                assert!(!text(part).to_lowercase().contains("eve"), "{shape}: {}", text(part));
            }
            assert!(payload.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{payload}");
        }
    }
}

#[test]
fn figures_and_others_stay_to_the_letter() {
    let cover = cover(&["user_id"], &[("customer", "gone")]);
    let shape = r#"{"user":17, "usage":{"input_tokens": 17, "cost": 1.170}, "app":"seventeen 170"}"#;
    let user = key().pseudonym(&Dimension::USER, "17");
    let expected = shape.replacen("17", &format!("\"{user}\""), 1);
    assert_eq!(text(&kept(letter(shape, "k"), &cover).payload), expected);
    let nobody = r#"{"id":"1","customer":"acme","odd":[1.0,"\u00e9"]}"#;
    let found = kept(letter(nobody, "1"), &cover);
    assert_eq!((text(&found.payload), text(found.key.as_ref().unwrap())), (nobody.to_owned(), "1".to_owned()));
    assert_eq!(
        (found.detail.as_str(), found.headers[1].1.as_slice()),
        ("'x' is a text; send a number", b"acme".as_slice())
    );
}

#[test]
fn what_cannot_be_looked_through_is_not_kept() {
    let cover = cover(&["user_id"], &[]);
    for shape in ["no json of eve", r#"{"user":"eve","te"#] {
        let found = kept(letter(shape, "eve-1"), &cover);
        assert!(found.payload == b"{}" && found.truncated_sha256.is_some());
        assert!(found.detail.ends_with("and it is not kept (privacy)"), "{}", found.detail);
        assert!(!text(found.key.as_ref().unwrap()).contains("eve"));
    }
    let inner = STANDARD.encode(r#"{"user":"eve"}"#);
    let found = kept(letter(&format!(r#"{{"data_base64":"{inner}"}}"#), "k"), &cover);
    let payload: serde_json::Value = serde_json::from_slice(&found.payload).unwrap();
    let inner = STANDARD.decode(payload["data_base64"].as_str().unwrap()).unwrap();
    assert!(text(&inner).starts_with(r#"{"user":"u-"#), "{}", text(&inner));
}

#[test]
fn a_subject_is_a_customer() {
    let found = kept(letter("{}", "k"), &cover(&[], &[("customer", "acme")]));
    assert_eq!(found.headers[1].1, b"erased");
}
