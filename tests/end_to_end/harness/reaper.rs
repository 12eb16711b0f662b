//! Ends every process of the tests when the test binary ends, however it ends.
//!
//! A shell reads process ids from a pipe; when the pipe closes it kills those that were not taken back. `Drop` would not
//! run for the broker that all scenarios share, nor for anything when the test binary itself is killed.

use std::io::Write;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
pids=' '
while read -r sign pid; do
  case $sign in
    +) pids="$pids$pid " ;;
    -) pids=$(printf '%s' "$pids" | sed "s/ $pid / /") ;;
  esac
done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
"#;

/// From now on the process dies with the test binary.
pub fn watch(pid: u32) {
    tell('+', pid);
}

/// The process has ended and was waited for; its id may be somebody else's soon.
pub fn forget(pid: u32) {
    tell('-', pid);
}

fn tell(sign: char, pid: u32) {
    static PIPE: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    let pipe = PIPE.get_or_init(|| {
        #[expect(clippy::zombie_processes, reason = "it outlives the test binary, that is its job")]
        let shell = Command::new("sh").args(["-c", SCRIPT]).stdin(Stdio::piped()).spawn().expect("sh starts");
        Mutex::new(shell.stdin.expect("stdin is piped"))
    });
    writeln!(pipe.lock().unwrap(), "{sign} {pid}").expect("the reaper reads");
}
