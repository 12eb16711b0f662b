//! What is a key and what is not, and that the quick look finds all that the rules find.

use proptest::prelude::*;

use super::*;

fn prefixes() -> Vec<String> {
    let all = ANY_CASE.iter().chain(&THIS_CASE).chain(&CAPITALS);
    all.map(|prefix| String::from_utf8(prefix.to_vec()).unwrap()).collect()
}

#[test]
fn no_prefix_is_passed_over_by_its_first_characters() {
    for prefix in prefixes() {
        let text = format!("{prefix}{}", "A1".repeat(8));
        assert!(looks_secret(&text), "{text}");
    }
}

/// Every position looked at by the rules themselves.
fn by_the_rules(text: &str) -> bool {
    let bytes = text.as_bytes();
    (0..bytes.len()).any(|at| {
        let within_word = at > 0 && bytes[at - 1].is_ascii_alphanumeric();
        let sign = matches!(bytes[at], b'=' | b':');
        (!within_word && key_at(bytes, at)) || (sign && follows_sign(bytes, at))
    })
}

/// Pieces that keys are made of, and whatever else.
fn piece() -> impl Strategy<Value = String> {
    let prefix = || prop::sample::select(prefixes());
    let name = || {
        let all = STRONG.iter().chain(&WEAK).map(|name| String::from_utf8(name.to_vec()).unwrap());
        prop::sample::select(all.collect::<Vec<_>>())
    };
    prop_oneof![
        prefix(),
        prefix().prop_map(|prefix| prefix.to_uppercase()),
        name(),
        name().prop_map(|name| name.to_uppercase()),
        prop::sample::select(vec![
            "=",
            ":",
            " ",
            "-",
            "_",
            "/",
            "\"",
            "\\",
            "é",
            "a",
            "0",
            "://",
            "u:p@h",
            "basic ",
            "dXNlcjpwYXNz",
            "-----BEGIN "
        ])
        .prop_map(str::to_owned),
        "[A-Za-z0-9_-]{0,30}",
        ".{0,3}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_quick_look_never_misses_what_the_rules_find(pieces in prop::collection::vec(piece(), 0..6)) {
        let text = pieces.concat();
        prop_assert_eq!(looks_secret(&text), by_the_rules(&text), "{:?}", text);
    }

    #[test]
    fn a_prefix_before_words_is_no_key(prefix in prop::sample::select(prefixes()), words in prop::collection::vec("[a-z]{1,12}", 1..4)) {
        prop_assume!(!CAPITALS.contains(&prefix.as_bytes()));
        let text = prefix + &words.join("-");
        prop_assert!(!looks_secret(&text), "{}", text);
    }
}

#[test]
fn keys_are_found_wherever_they_stand() {
    for text in [
        "Incorrect API key provided: sk-proj-ab12CD34ef56GH78ij90",
        "sk-ant-api03-R2D2c3poR2D2c3poR2D2c3po-AA",
        "sk-abcdefghijklmnop1234567890",
        "sk-lf-1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        "SK_live_51H8xYzAbCdEfGhIj",
        "bearer ab12CD34ef56GH78",
        "https://h/v1?api_key=abcdef",
        "https://h/v1?a=1&KEY=0123456789abcdef",
        "ya29.a0AfH6SMBx1y2z3a4b5c6",
        "r8_Ab1Cd2Ef3Gh4Ij5Kl6",
        "AIzaSyA1b2C3d4E5f6G7h8I9",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx",
        "xai-0123456789abcdef",
        "hf_AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh",
        "eyJhbGciOiJIUzI1NiJ9",
        "pplx-0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        "nvapi-Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8",
        "fw_3ZabcDEFghi4JKLmno5PQR6",
        "tgp_v1_Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9",
        "csk-abc1def2ghi3jkl4mno5pqr6",
        "ABSKQmVkcm9ja0FQSUtleS1hYmNk",
        "dapi0123456789abcdef0123456789abcdef",
        "Basic dXNlcjpwYXNz",
        "https://user:pass@host/v1",
        "postgres://user:p%40ss@host:5432/db",
        r#"{"api_key": "0123456789abcdef"}"#,
        r#"{\"api_key\": \"9f86d081884c\"}"#,
        "apikey: 9f86d081884c7d659a2f",
        "token: 9f86d081884c7d659a2f",
        "secret: hunter2x",
        "password=correcthorse",
        "Authorization: ab12CD34",
        "-----BEGIN RSA PRIVATE KEY-----",
        "x -----BEGIN PRIVATE KEY-----",
    ] {
        assert!(looks_secret(text), "{text}");
    }
}

#[test]
fn names_are_no_keys() {
    for text in [
        "",
        "sk-telecom",
        "sk-hynix",
        "sk-telecom-enterprise-2026",
        "sk-SK",
        "Sk-Learn team",
        "ft:gpt-4o-2024-08-06:sk-telecom::abc123",
        "https://gateway.example/usage?tenant_key=aaa",
        "task-1",
        "risk-management",
        "asia-east1",
        "xai-grok-4-fast-reasoning",
        "gpt-4o",
        "Bearer",
        "bearer of good news",
        "Basic support",
        "Basic PostgreSQL",
        "key=",
        "monkey",
        "token: 1200",
        "password: required",
        "secret: [removed]",
        "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude",
        "https://host:8080/@user",
        "https://user@host/v1",
        "bge-m3",
        "hf_hub-models",
        "sha256:0123456789abcdef",
        "alice@example.com",
        "pa-consulting-europe-2026",
        "BEGIN of the run",
    ] {
        assert!(!looks_secret(text), "{text}");
    }
}
