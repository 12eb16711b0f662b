//! A real S3 server (versitygw) over a temporary folder, on a free port, with one bucket.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::components::Component;
use super::process::{Process, free_port};
use super::wait;

const ACCESS: &str = "spendstream-test";
const SECRET: &str = "spendstream-test-secret";
/// The bucket that is there from the start.
pub const BUCKET: &str = "lake";

/// An S3 server; it ends when dropped.
pub struct Gateway {
    port: u16,
    folder: TempDir,
    process: Process,
}

impl Gateway {
    /// Starts one and waits until it answers.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A folder of the first level is a bucket.
        std::fs::create_dir_all(folder.path().join("data").join(BUCKET)).unwrap();
        let port = free_port();
        let process = run(port, &folder);
        let mut gateway = Self { port, folder, process };
        gateway.wait_ready();
        gateway
    }

    /// `http://host:port`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The bucket as a folder.
    pub fn bucket(&self) -> PathBuf {
        self.folder.path().join("data").join(BUCKET)
    }

    /// Makes another bucket; returns it as a folder.
    pub fn add_bucket(&self, name: &str) -> PathBuf {
        let bucket = self.folder.path().join("data").join(name);
        std::fs::create_dir_all(&bucket).unwrap();
        bucket
    }

    /// What a client of it needs, by the names of object-store options.
    pub fn options(&self) -> Vec<(&'static str, String)> {
        vec![
            ("aws_endpoint", self.endpoint()),
            ("aws_region", "us-east-1".into()),
            ("aws_access_key_id", ACCESS.into()),
            ("aws_secret_access_key", SECRET.into()),
            ("aws_allow_http", "true".into()),
        ]
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts again on the same folder and port.
    pub fn restart(&mut self) {
        self.process = run(self.port, &self.folder);
        self.wait_ready();
    }

    fn wait_ready(&mut self) {
        wait::until("the S3 server answers", || {
            assert!(self.process.ended().is_none(), "the S3 server ended:\n{}", self.process.tail());
            TcpStream::connect(("127.0.0.1", self.port)).ok().map(drop)
        });
    }
}

fn run(port: u16, folder: &TempDir) -> Process {
    let mut command = Command::new(Component::Versitygw.path().join("versitygw"));
    command.args(["--access", ACCESS, "--secret", SECRET, "--port", &format!("127.0.0.1:{port}"), "--quiet", "posix"]);
    command.arg(folder.path().join("data"));
    Process::start("versitygw", &mut command, &folder.path().join("gateway.log"))
}
