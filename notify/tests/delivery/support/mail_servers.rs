//! Two mail servers of others: `GreenMail` (TLS from the first byte, read back over its HTTP interface) and aiosmtpd
//! (STARTTLS). `scripts/components.sh mail` fetches both. They end with the test, even when it fails.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// Where the servers' programs lie. Without them: a failure where components are required, else a line and `None`.
pub fn component() -> Option<PathBuf> {
    let versions = include_str!("../../../../scripts/versions.env");
    let version = |name: &str| versions.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap();
    let cache = std::env::var_os("SPENDSTREAM_CACHE")
        .map_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/spendstream"), PathBuf::from);
    let name = format!("components/mail-{}-{}", version("GREENMAIL_VERSION"), version("AIOSMTPD_VERSION"));
    let folder = cache.join(name);
    let mode = std::env::var("SPENDSTREAM_COMPONENTS").unwrap_or_default();
    if mode != "none" && folder.join(".complete").exists() {
        return Some(folder);
    }
    let required = mode == "required" || (mode != "none" && std::env::var_os("CI").is_some());
    assert!(!required, "mail servers missing: {}; run scripts/components.sh mail", folder.display());
    eprintln!("skipped: mail servers missing; scripts/components.sh mail fetches them");
    None
}

/// A key and a certificate of `localhost` for one test.
pub struct Identity {
    folder: TempDir,
}

impl Identity {
    pub fn new() -> Self {
        let identity = Self { folder: TempDir::new().unwrap() };
        let (key, certificate) = (identity.path("key.pem"), identity.path("cert.pem"));
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ]);
        let store = identity.path("store.p12");
        let export =
            ["pkcs12", "-export", "-inkey", &key, "-in", &certificate, "-out", &store, "-passout", "pass:changeit"];
        openssl(&export);
        identity
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct GreenMail {
    pub smtp: u16,
    pub smtps: u16,
    api: u16,
    _process: Ending,
}

impl GreenMail {
    /// With the user `alerts@example.org`, login `alerts`, password `s3cret-word`.
    pub async fn start(component: &Path, identity: &Identity) -> Self {
        let listeners: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        drop(listeners);
        let mut command = Command::new("java");
        for (service, port) in ["smtp", "smtps", "api"].iter().zip(&ports) {
            command
                .arg(format!("-Dgreenmail.{service}.hostname=127.0.0.1"))
                .arg(format!("-Dgreenmail.{service}.port={port}"));
        }
        command
            .args([
                "-Xmx128m",
                "-Dgreenmail.users=alerts:s3cret-word@example.org",
                "-Dgreenmail.users.login=local_part",
            ])
            .args(["-Dgreenmail.startup.timeout=60000", "-Dgreenmail.tls.keystore.password=changeit"])
            .arg(format!("-Dgreenmail.tls.keystore.file={}", identity.path("store.p12")))
            .arg("-jar")
            .arg(component.join("greenmail.jar"));
        let process = Ending(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let server = Self { smtp: ports[0], smtps: ports[1], api: ports[2], _process: process };
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        for _ in 0..600 {
            ticks.tick().await;
            if server.get("/api/service/readiness").await.is_some() {
                return server;
            }
        }
        panic!("GreenMail does not answer on port {}", server.api);
    }

    async fn get(&self, path: &str) -> Option<String> {
        let url = format!("http://127.0.0.1:{}{path}", self.api);
        let response = reqwest::Client::builder().no_proxy().build().ok()?.get(url).send().await.ok()?;
        response.error_for_status().ok()?.text().await.ok()
    }

    /// The mails of a user, as they arrived.
    pub async fn mails(&self, user: &str) -> Vec<String> {
        let answer = self.get(&format!("/api/user/{user}/messages")).await.unwrap_or_else(|| "[]".into());
        let mails: Vec<serde_json::Value> = serde_json::from_str(&answer).unwrap();
        mails.iter().map(|mail| mail["mimeMessage"].as_str().unwrap().to_owned()).collect()
    }
}

pub struct StartTls {
    pub port: u16,
    lines: BufReader<ChildStdout>,
    _process: Ending,
}

impl StartTls {
    pub fn start(component: &Path, identity: &Identity) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/delivery/starttls.py");
        let mut child = Command::new(component.join("python/bin/python"))
            .arg(script)
            .args([&identity.path("cert.pem"), &identity.path("key.pem"), "alerts", "s3cret-word"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        lines.read_line(&mut port).unwrap();
        Self { port: port.trim().parse().unwrap(), lines, _process: Ending(child) }
    }

    /// The next mail that arrived.
    pub fn mail(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}
