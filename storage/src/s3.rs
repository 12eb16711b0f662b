//! The S3 client. In: bucket, `lake.options` and `AWS_*` variables. Out: an object store rooted at the bucket, whose
//! conditional puts are on: a Delta commit is one. Never falls back to unconditional writes.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{ObjectStore, RetryConfig};
use spendstream_schemas::config::Text;

use crate::StorageError;

/// How long one request is retried before its caller hears of it; the committer then decides what to do.
const RETRY_FOR: Duration = Duration::from_secs(20);
const RETRIES: usize = 5;

/// # Errors
/// When an option is unknown or unsafe, or the client cannot be made (no credentials at all is found out by the first request).
pub fn open(uri: &str, bucket: &str, options: &BTreeMap<String, Text>) -> Result<Arc<dyn ObjectStore>, StorageError> {
    let mut builder = AmazonS3Builder::from_env();
    for (key, value) in options {
        let known = AmazonS3ConfigKey::from_str(&key.to_ascii_lowercase())
            .map_err(|_| StorageError::UnknownOption { key: key.clone() })?;
        builder = builder.with_config(known, value.0.clone());
    }
    builder = builder.with_bucket_name(bucket).with_retry(RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRY_FOR,
        ..RetryConfig::default()
    });
    refuse_unsafe(&builder)?;
    let client = builder
        .build()
        .map_err(|error| StorageError::Client { uri: uri.to_owned(), reason: error.to_string().replace('\n', " ") })?;
    Ok(Arc::new(client))
}

fn refuse_unsafe(builder: &AmazonS3Builder) -> Result<(), StorageError> {
    let value = |key: &str| {
        AmazonS3ConfigKey::from_str(key).ok().and_then(|key| builder.get_config_value(&key)).unwrap_or_default()
    };
    if value("aws_conditional_put").eq_ignore_ascii_case("disabled") {
        return Err(StorageError::Unsafe {
            what: "aws_conditional_put is disabled, so two writers could overwrite each other's commits",
            hint: "remove the option, or use an S3 server that honours If-None-Match",
        });
    }
    let plain = value("aws_endpoint").to_ascii_lowercase().starts_with("http://");
    if plain && !value("aws_allow_http").eq_ignore_ascii_case("true") {
        return Err(StorageError::Unsafe {
            what: "the S3 endpoint is http:// and would carry events unencrypted",
            hint: "use https://, or set aws_allow_http = true in lake.options (AWS_ALLOW_HTTP)",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use spendstream_schemas::config::Text;

    use super::open;

    fn check(options: &[(&str, &str)], expected: &str) {
        let options: BTreeMap<_, _> = options.iter().map(|(k, v)| ((*k).to_owned(), Text((*v).to_owned()))).collect();
        let found = open("s3://b/p", "b", &options).map_or_else(|error| error.to_string(), |_| "ok".to_owned());
        assert!(found.starts_with(expected), "{found}");
        assert!(!found.contains("hidden"), "{found}");
    }

    #[test]
    fn options_are_checked() {
        check(&[("aws_endpoint", "http://127.0.0.1:9"), ("aws_allow_http", "true")], "ok");
        let keys = [("aws_access_key_id", "id"), ("aws_secret_access_key", "hidden")];
        check(&[("AWS_ENDPOINT", "https://s3.example.com"), keys[0], keys[1]], "ok");
        check(&[("aws_endpoint", "http://127.0.0.1:9")], "the S3 endpoint is http://");
        check(&[("aws_conditional_put", "disabled")], "aws_conditional_put is disabled");
        check(&[("aws_frobnicate", "hidden")], "lake.options has no option 'aws_frobnicate'");
    }
}
