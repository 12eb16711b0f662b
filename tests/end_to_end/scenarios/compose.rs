//! `docker-compose.yml`: every setting in it is a key that the binary knows, and every image has a pinned version.

use std::collections::BTreeMap;

use crate::harness::lake::command;

const COMPOSE: &str = include_str!("../../../docker-compose.yml");

#[test]
fn every_setting_is_a_known_key() {
    let settings: BTreeMap<&str, &str> = COMPOSE
        .lines()
        .filter_map(|line| line.trim().split_once(": "))
        .filter(|(name, _)| name.starts_with("SPENDSTREAM__"))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect();
    assert!(settings.len() >= 5, "the compose file sets brokers, lake and its options: {settings:?}");
    let folder = tempfile::tempdir().unwrap();
    let output = command(folder.path()).arg("config").envs(settings).output().expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let unknown = command(folder.path()).arg("config").env("SPENDSTREAM__KAFKA__BROKER", "x").output().unwrap();
    assert_eq!(unknown.status.code(), Some(1), "an unknown key would be refused");
}

#[test]
fn every_image_is_pinned_and_every_port_is_on_loopback() {
    for line in COMPOSE.lines().map(str::trim) {
        if let Some(image) = line.strip_prefix("image: ") {
            let (_, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{image} has no version"));
            assert_ne!(tag, "latest");
        }
        if let Some(port) = line.strip_prefix("- \"").filter(|port| port.contains(':')) {
            assert!(port.starts_with("127.0.0.1:"), "{port} is open to the network");
        }
    }
}
