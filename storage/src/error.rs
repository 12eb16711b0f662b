//! What can be wrong with a lake's address or options: one line each, with what to do. Never contains an option's value.

use thiserror::Error;

/// Why a lake cannot be opened.
#[derive(Debug, Error)]
pub enum StorageError {
    #[error("lake.uri '{uri}' cannot be used: {reason}; write file:./path, file:///path or s3://bucket/prefix")]
    Location { uri: String, reason: String },
    #[error(
        "lake.options has no option '{key}' of S3; see aws_endpoint, aws_region, aws_access_key_id and aws_allow_http"
    )]
    UnknownOption { key: String },
    #[error("{what}; {hint}")]
    Unsafe { what: &'static str, hint: &'static str },
    #[error("the S3 client for '{uri}' cannot be made: {reason}")]
    Client { uri: String, reason: String },
}
