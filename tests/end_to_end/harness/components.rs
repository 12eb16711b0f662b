//! Where the real components lie, and what happens when one is missing. Versions come from `scripts/versions.env`.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

const VERSIONS: &str = include_str!("../../../scripts/versions.env");
const EMITTERS: &str = include_str!("../../../scripts/emitters.txt");
const SCHEMATHESIS: &str = include_str!("../../../scripts/schemathesis.txt");

/// Something that `scripts/components.sh` fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    Kafka,
    Versitygw,
    Collector,
    Python,
    /// The FOCUS validator with its rules.
    Focus,
    /// `LiteLLM` and the OpenTelemetry SDK for Python.
    Emitters,
    /// Asks whatever an `OpenAPI` document allows.
    Schemathesis,
    /// `GreenMail`, and aiosmtpd for other tests.
    Mail,
    /// psql and psycopg.
    Clients,
}

impl Component {
    fn folder(self) -> String {
        match self {
            Self::Kafka => format!("kafka-{}", version("KAFKA_VERSION")),
            Self::Versitygw => format!("versitygw-{}", version("VERSITYGW_VERSION")),
            Self::Collector => format!("collector-{}", version("COLLECTOR_VERSION")),
            Self::Emitters => format!("emitters-{}", hash(EMITTERS)),
            Self::Schemathesis => format!("schemathesis-{}", hash(SCHEMATHESIS)),
            Self::Focus => format!("focus-{}-{}", version("FOCUS_VALIDATOR_VERSION"), version("FOCUS_PYARROW_VERSION")),
            Self::Clients => format!("clients-{}-{}", version("PSYCOPG_VERSION"), version("PGSERVER_VERSION")),
            Self::Mail => format!("mail-{}-{}", version("GREENMAIL_VERSION"), version("AIOSMTPD_VERSION")),
            Self::Python => {
                let versions =
                    ["DUCKDB_VERSION", "POLARS_VERSION", "DELTALAKE_VERSION", "PYARROW_VERSION"].map(version);
                format!("python-{}", versions.join("-"))
            }
        }
    }

    /// The folder it was fetched into.
    pub fn path(self) -> PathBuf {
        cache().join("components").join(self.folder())
    }

    fn is_there(self) -> bool {
        self.path().join(".complete").exists()
    }
}

/// Whether all of `wanted` are there. If not: a failure where components are required, else a line and `false`.
pub fn there(wanted: &[Component]) -> bool {
    let mode = std::env::var("SPENDSTREAM_COMPONENTS").unwrap_or_default();
    let missing: Vec<_> = wanted.iter().filter(|component| mode == "none" || !component.is_there()).collect();
    if missing.is_empty() {
        return true;
    }
    let required = mode == "required" || (mode != "none" && std::env::var_os("CI").is_some());
    assert!(!required, "{missing:?} missing below {}; run scripts/components.sh", cache().display());
    eprintln!("skipped: {missing:?} missing; scripts/components.sh fetches what this scenario needs");
    false
}

/// Leaves the test when a component is missing and need not be there.
macro_rules! need {
    ($($component:ident),+) => {
        if !$crate::harness::components::there(&[$($crate::harness::components::Component::$component),+]) {
            return;
        }
    };
}
pub(crate) use need;

fn cache() -> PathBuf {
    match std::env::var_os("SPENDSTREAM_CACHE") {
        Some(cache) => cache.into(),
        None => PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache/spendstream"),
    }
}

/// As `sha256sum | cut -c 1-12` has it.
fn hash(list: &str) -> String {
    let parts: Vec<String> = Sha256::digest(list).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    parts.concat()
}

fn version(name: &str) -> &'static str {
    let line = VERSIONS.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("scripts/versions.env has no {name}"))
}
