//! A lake of a test: where it lies, and ways to read it: the product's own SQL, and readers that know nothing of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Map, Value};
use tempfile::TempDir;

use super::components::Component;
use super::gateway::{BUCKET, Gateway};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_spendstream");

/// A row of an answer by column names.
pub type Row = Map<String, Value>;

/// A lake on a local folder or in a bucket.
pub struct Lake {
    uri: String,
    options: Vec<(&'static str, String)>,
    /// Variables that configure tiers with places of their own.
    tiers: Vec<(String, String)>,
    /// Where its objects lie as files, also those of a bucket.
    objects: PathBuf,
    folder: TempDir,
}

impl Lake {
    /// In a temporary folder.
    pub fn file() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let objects = folder.path().join("lake");
        Self { uri: format!("file://{}", objects.display()), options: Vec::new(), tiers: Vec::new(), objects, folder }
    }

    /// In a folder that is there: a small file system.
    pub fn below(folder: &Path) -> Self {
        let objects = folder.join("lake");
        let folder = tempfile::tempdir().unwrap();
        Self { uri: format!("file://{}", objects.display()), options: Vec::new(), tiers: Vec::new(), objects, folder }
    }

    /// In a temporary folder, with colder tiers on an S3 server: name, age in days and URI of each.
    pub fn tiered(gateway: &Gateway, tiers: &[(&str, &str, String)]) -> Self {
        let mut lake = Self { options: gateway.options(), ..Self::file() };
        for (name, after_days, uri) in tiers {
            let mut set = |key: &str, value: &str| {
                lake.tiers
                    .push((format!("SPENDSTREAM__LAKE__TIERS__{}__{key}", name.to_uppercase()), value.to_owned()));
            };
            set("AFTER_DAYS", after_days);
            set("URI", uri);
            for (option, value) in gateway.options() {
                set(&format!("OPTIONS__{}", option.to_uppercase()), &value);
            }
        }
        lake
    }

    /// In the bucket of an S3 server.
    pub fn s3(gateway: &Gateway, prefix: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let objects = gateway.bucket().join(prefix);
        Self { uri: format!("s3://{BUCKET}/{prefix}"), options: gateway.options(), tiers: Vec::new(), objects, folder }
    }

    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Where its objects lie as files.
    pub fn folder(&self) -> &Path {
        &self.objects
    }

    /// Every file of the lake.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.objects.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files
    }

    /// The newest version of the table `usage` in its log; 0 while there is none.
    pub fn version(&self) -> u64 {
        let log = std::fs::read_dir(self.objects.join("usage/_delta_log"));
        let names = log.into_iter().flatten().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter_map(|name| name.strip_suffix(".json")?.parse().ok()).max().unwrap_or(0)
    }

    /// Environment variables that lead the binary here.
    pub fn variables(&self) -> Vec<(String, String)> {
        let option = |(name, value): &(&str, String)| {
            (format!("SPENDSTREAM__LAKE__OPTIONS__{}", name.to_uppercase()), value.clone())
        };
        let mut variables = vec![("SPENDSTREAM__LAKE__URI".to_owned(), self.uri.clone())];
        variables.extend(self.options.iter().map(option));
        variables.extend(self.tiers.iter().cloned());
        variables
    }

    /// Runs the binary on this lake: `spendstream ARGS`.
    pub fn run(&self, args: &[&str]) -> Output {
        command(self.folder.path()).args(args).envs(self.variables()).output().expect("the binary starts")
    }

    /// An answer by `spendstream sql`, or what it wrote on standard error.
    pub fn try_rows(&self, sql: &str) -> Result<Vec<Row>, String> {
        let output = self.run(&["sql", sql, "--format", "json", "--lake", &self.uri]);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        serde_json::from_slice(&output.stdout).map_err(|error| {
            format!("{error}: {}", String::from_utf8_lossy(&output.stdout).chars().take(500).collect::<String>())
        })
    }

    /// An answer by `spendstream sql`.
    pub fn rows(&self, sql: &str) -> Vec<Row> {
        self.try_rows(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Rows of `usage`; 0 while there is no such table.
    pub fn count(&self) -> u64 {
        self.try_rows("SELECT count(*) AS n FROM usage").map_or(0, |rows| text(&rows[0]["n"]).parse().unwrap())
    }

    /// `spendstream lake check` finds nothing wrong.
    pub fn assert_clean(&self) {
        let output = self.run(&["lake", "check", "--lake", &self.uri]);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "lake check: {said}");
    }

    /// What DuckDB, Polars and deltalake read here: see `readers.py`.
    pub fn readers(&self) -> Row {
        self.read_by_others(&[])
    }

    /// What `DuckDB` reads here and in further tables, put together as `docs/lake.md` says.
    pub fn duckdb(&self, further: &[PathBuf]) -> Row {
        self.read_by_others(further)
    }

    fn read_by_others(&self, further: &[PathBuf]) -> Row {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/readers.py");
        let mut python = Command::new(Component::Python.path().join("bin/python"));
        python.arg(script).arg(format!("{}/usage", self.uri)).args(further).env("HOME", self.folder.path());
        for (name, value) in &self.options {
            python.env(name.to_uppercase(), value);
        }
        let output = python.output().expect("python starts");
        assert!(output.status.success(), "readers.py: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("readers.py writes JSON")
    }
}

/// The binary with a clean environment, in a folder without a configuration file.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("NO_COLOR", "1");
    command.current_dir(folder);
    command
}

/// A value as text, whether the answer writes it as a string or a number.
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
