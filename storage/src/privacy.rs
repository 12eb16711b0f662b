//! Reads the key of pseudonyms and erasures. In: `privacy.*`; out: the key, and which dimensions are pseudonymous. Never shows the key.

use spendstream_schemas::config::PrivacyConfig;
use spendstream_schemas::pseudonym::{PrivacyKey, Pseudonyms};

/// Larger files are no keys.
const MOST_BYTES: u64 = 64 << 10;

/// What is configured; without a key nothing is pseudonymous and nobody can be erased.
///
/// # Errors
/// One line that names the key of the configuration: a file or variable that cannot be read, a key that is too short.
pub fn pseudonyms(config: &PrivacyConfig) -> Result<Pseudonyms, String> {
    let (key, text) = match (config.key.is_empty(), config.key_file.as_str()) {
        (true, "") => return Ok(Pseudonyms::default()),
        (true, file) => ("privacy.key_file", read(file)?),
        (false, _) => {
            let text = config.key.reveal(|name| std::env::var(name).ok());
            ("privacy.key", text.map_err(|problem| format!("privacy.key {problem}"))?)
        }
    };
    let key = PrivacyKey::new(&text).map_err(|problem| format!("{key} {problem}"))?;
    Ok(Pseudonyms::new(key, config.dimensions()))
}

fn read(file: &str) -> Result<String, String> {
    let fault = |problem: String| format!("privacy.key_file '{file}' {problem}");
    let size = std::fs::metadata(file).map_err(|error| fault(format!("cannot be read: {error}")))?.len();
    if size > MOST_BYTES {
        return Err(fault(format!("has {size} bytes; a key is one line")));
    }
    std::fs::read_to_string(file).map_err(|error| fault(format!("cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use spendstream_schemas::config::PrivacyConfig;
    use spendstream_schemas::config::notify::Secret;
    use spendstream_schemas::pseudonym::Dimension;

    use super::pseudonyms;

    #[test]
    fn a_key_comes_from_a_file_or_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key").display().to_string();
        std::fs::write(&file, "0123456789abcdef\n").unwrap();
        let pseudonymise = vec!["user_id".to_owned()];
        let of_file = PrivacyConfig { key_file: file.clone(), pseudonymise, ..PrivacyConfig::default() };
        let written =
            PrivacyConfig { key: Secret::new("0123456789abcdef"), key_file: String::new(), ..of_file.clone() };
        let ann = |config: &PrivacyConfig| pseudonyms(config).unwrap().of(&Dimension::USER, "ann");
        assert!(ann(&of_file).is_some() && ann(&of_file) == ann(&written));
        assert!(pseudonyms(&PrivacyConfig::default()).unwrap().key().is_none());

        std::fs::write(&file, "hunter2\n").unwrap();
        let problem = pseudonyms(&of_file).unwrap_err();
        assert!(problem.starts_with("privacy.key_file has 7 bytes; write at least 16"), "{problem}");
        let gone = PrivacyConfig { key_file: format!("{file}-gone"), ..of_file };
        let problem = pseudonyms(&gone).unwrap_err();
        assert!(problem.contains("key-gone' cannot be read: No such file"), "{problem}");
        let unset = PrivacyConfig { key: Secret::new("env:SPENDSTREAM_NO_SUCH"), ..written };
        let problem = pseudonyms(&unset).unwrap_err();
        assert!(problem.ends_with("the environment variable SPENDSTREAM_NO_SUCH is not set"), "{problem}");
    }
}
