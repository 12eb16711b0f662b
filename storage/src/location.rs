//! Reads `lake.uri`. In: the text as typed. Out: a [`Location`]. Looks at no disk and no network.

use std::path::{Path, PathBuf};

use url::Url;

use crate::StorageError;

/// Where a lake lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder, absolute.
    Local(PathBuf),
    /// A bucket and a prefix in it, as a URL without a slash at its end.
    S3 { bucket: String, url: Url },
}

impl Location {
    /// `file:./x`, `file:///x`, `./x`, `/x` or `s3://bucket/prefix`; a relative path starts at `base`.
    ///
    /// # Errors
    /// When the text is none of these.
    pub fn parse(uri: &str, base: &Path) -> Result<Self, StorageError> {
        let wrong = |reason: &str| StorageError::Location { uri: shown(uri), reason: reason.to_owned() };
        if uri.trim().is_empty() {
            return Err(wrong("it is empty"));
        }
        if uri.starts_with("s3://") || uri.starts_with("s3a://") {
            return s3(uri, &wrong);
        }
        let path = match uri.strip_prefix("file:") {
            Some(rest) => match rest.strip_prefix("//") {
                Some(path) if path.starts_with('/') => percent_decoded(uri, &wrong)?,
                Some(_) => return Err(wrong("after file:// comes a host; a path needs a third slash")),
                None => PathBuf::from(rest),
            },
            None if uri.contains("://") => return Err(wrong("only file and s3 are known")),
            None => PathBuf::from(uri),
        };
        Ok(Self::Local(clean(&base.join(path))))
    }
}

fn s3(uri: &str, wrong: &dyn Fn(&str) -> StorageError) -> Result<Location, StorageError> {
    let text = format!("s3://{}", uri.split_once("://").map_or("", |(_, rest)| rest).trim_end_matches('/'));
    let url = Url::parse(&text).map_err(|error| wrong(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(wrong("keys belong in lake.options or AWS_* variables, not in the address"));
    }
    let bucket = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("it names no bucket"))?.to_owned();
    Ok(Location::S3 { bucket, url })
}

fn percent_decoded(uri: &str, wrong: &dyn Fn(&str) -> StorageError) -> Result<PathBuf, StorageError> {
    let url = Url::parse(uri).map_err(|error| wrong(&error.to_string()))?;
    url.to_file_path().map_err(|()| wrong("it is no path of this system"))
}

/// Takes `.` and `..` out, without asking the disk.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// The address for messages: what stands before an `@` might be a key.
fn shown(uri: &str) -> String {
    match (uri.split_once("://"), uri.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://***@{rest}"),
        _ => uri.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::Location;

    fn check(uri: &str, expected: &str) {
        let found = match Location::parse(uri, Path::new("/base")) {
            Ok(Location::Local(path)) => format!("local {}", path.display()),
            Ok(Location::S3 { bucket, url }) => format!("s3 {bucket} {url}"),
            Err(error) => format!("error {error}"),
        };
        assert!(found.starts_with(expected), "{uri}: {found}");
    }

    #[test]
    fn addresses_are_read() {
        check("file:./lake", "local /base/lake");
        check("./lake/", "local /base/lake");
        check("lake", "local /base/lake");
        check("file:///var/my%20lake", "local /var/my lake");
        check("/var/../lake", "local /lake");
        check("s3://bucket/some/prefix/", "s3 bucket s3://bucket/some/prefix");
        check("s3://bucket", "s3 bucket s3://bucket");
    }

    #[test]
    fn other_addresses_are_refused_with_a_hint() {
        check("", "error lake.uri '' cannot be used: it is empty");
        check("file://host/x", "error lake.uri 'file://host/x' cannot be used: after file:// comes a host");
        check("gs://bucket/x", "error lake.uri 'gs://bucket/x' cannot be used: only file and s3 are known");
        check("s3://KEY:SECRET@bucket/x", "error lake.uri 's3://***@bucket/x' cannot be used: keys belong");
    }

    #[test]
    fn a_local_path_is_absolute() {
        assert_eq!(Location::parse("x", Path::new("/a")).unwrap(), Location::Local(PathBuf::from("/a/x")));
    }
}
