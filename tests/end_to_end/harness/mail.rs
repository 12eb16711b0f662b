//! A real mail server (`GreenMail`): takes what is sent to it by SMTP, and tells over HTTP what arrived.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::components::Component;
use super::process::{Process, free_port};
use super::{http, wait};

/// Whom alerts are sent to.
pub const ADDRESS: &str = "alerts@example.org";

/// A server; it ends when dropped.
pub struct Mail {
    pub smtp: u16,
    api: String,
    _process: Process,
    _folder: TempDir,
}

impl Mail {
    /// Starts one and waits until it answers.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (smtp, api) = (free_port(), free_port());
        let mut command = Command::new("java");
        for (service, port) in [("smtp", smtp), ("api", api)] {
            command.arg(format!("-Dgreenmail.{service}.hostname=127.0.0.1"));
            command.arg(format!("-Dgreenmail.{service}.port={port}"));
        }
        command.args(["-Xmx128m", "-Dgreenmail.users=alerts:word@example.org", "-Dgreenmail.users.login=local_part"]);
        command.args(["-Dgreenmail.startup.timeout=60000", "-jar"]).arg(Component::Mail.path().join("greenmail.jar"));
        let process = Process::start("GreenMail", &mut command, &folder.path().join("log"));
        let api = format!("127.0.0.1:{api}");
        wait::until("the mail server answers", || {
            http::get(&api, "/api/service/readiness").filter(|(status, _)| *status == 200)
        });
        Self { smtp, api, _process: process, _folder: folder }
    }

    /// The `Message-ID`s of the mails that arrived, without what follows the `@`. A mail that was sent twice has one.
    pub fn ids(&self) -> BTreeSet<String> {
        let answer = http::get(&self.api, &format!("/api/user/{ADDRESS}/messages"));
        let (status, answer) = answer.expect("the mail server answers");
        assert_eq!(status, 200, "{answer}");
        let mails: Vec<Value> = serde_json::from_str(&answer).unwrap();
        let id = |mail: &Value| {
            let text = mail["mimeMessage"].as_str().expect("a mail is a text");
            let id = text.lines().find_map(|line| line.strip_prefix("Message-ID: <")).expect("a mail has an id");
            id.split('@').next().unwrap_or_default().to_owned()
        };
        mails.iter().map(id).collect()
    }
}
