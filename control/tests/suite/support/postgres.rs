//! A real PostgreSQL: found where Debian or `scripts/components.sh` put it, started on a free port, stopped when this process is
//! gone (even killed: a watcher holds the other end of a pipe).

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::{Mutex, OnceLock};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

struct Server {
    port: u16,
    /// Closed by the kernel when this process ends; the watcher then stops the server.
    _watcher: Mutex<(Child, ChildStdin)>,
}

/// A new, empty database of that name.
pub async fn database(name: &str) -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(start).as_ref()?;
    let url = |name: &str| format!("postgres://postgres@127.0.0.1:{}/{name}", server.port);
    let mut connection = PgConnection::connect(&url("postgres")).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    Some(url(name))
}

fn start() -> Option<Server> {
    let mode = std::env::var("SPENDSTREAM_COMPONENTS").unwrap_or_default();
    let bin = if mode == "none" { None } else { find() };
    let Some(bin) = bin else {
        let required = mode == "required" || (mode != "none" && std::env::var_os("CI").is_some());
        assert!(!required, "PostgreSQL is missing; run scripts/components.sh postgres");
        eprintln!("skipped: PostgreSQL is missing; scripts/components.sh postgres says how to get it");
        return None;
    };
    // Made by the user that runs the server, for it refuses a folder of another's.
    let mut folder = as_server_user(&["mktemp", "-d", "/tmp/spendstream-postgres-XXXXXX"]);
    let folder = String::from_utf8(succeed("mktemp", folder.output()).stdout).unwrap().trim().to_owned();
    let bin = reachable(bin, &folder);
    let (data, initdb) = (format!("{folder}/data"), bin.join("initdb"));
    let initdb = as_server_user(&[&path(&initdb), "-A", "trust", "-U", "postgres", "--no-sync", "-D", &data]).output();
    succeed("initdb", initdb);
    let port = free_port();
    let options = format!("-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off");
    let log = format!("{folder}/log");
    let pg_ctl = path(&bin.join("pg_ctl"));
    // -w: returns when the server answers.
    let started = as_server_user(&[&pg_ctl, "-D", &data, "-l", &log, "-w", "-o", &options, "start"]).output();
    succeed("pg_ctl start", started);
    let stop = format!("cat >/dev/null; '{pg_ctl}' -D '{data}' -m immediate stop; rm -rf '{folder}'");
    let mut watcher = as_server_user(&["sh", "-c", &stop]);
    watcher.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut watcher = watcher.spawn().expect("a shell can be started");
    let pipe = watcher.stdin.take().expect("its input is a pipe");
    Some(Server { port, _watcher: Mutex::new((watcher, pipe)) })
}

/// The folder with `initdb` and `pg_ctl`: the newest of Debian's, or the one that `scripts/components.sh` fetched.
fn find() -> Option<PathBuf> {
    let cache = match std::env::var_os("SPENDSTREAM_CACHE") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".cache/spendstream"),
    };
    let below = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("pg_ctl").exists()).collect()
    };
    let mut found = below(Path::new("/usr/lib/postgresql"));
    found.sort();
    let fetched = below(&cache.join("components")).into_iter().find(|bin| path(bin).contains("/postgres-"));
    found.pop().or(fetched)
}

/// The folder of the binaries, copied where the server's user can read it if they lie in root's cache.
fn reachable(bin: PathBuf, folder: &str) -> PathBuf {
    if !is_root() || bin.starts_with("/usr") {
        return bin;
    }
    let (from, to) = (bin.parent().map(path).unwrap_or_default(), format!("{folder}/server"));
    succeed("cp", Command::new("cp").args(["-R", &from, &to]).output());
    Path::new(&to).join("bin")
}

fn is_root() -> bool {
    String::from_utf8_lossy(&succeed("id", Command::new("id").arg("-u").output()).stdout).trim() == "0"
}

/// PostgreSQL refuses to run as root: then it runs as the user `postgres` (or `nobody`).
fn as_server_user(command: &[&str]) -> Command {
    let mut made;
    if is_root() {
        let known = Command::new("id").arg("postgres").output().is_ok_and(|output| output.status.success());
        made = Command::new("setpriv");
        let user = if known { "postgres" } else { "nobody" };
        made.args(["--reuid", user, "--regid", if known { "postgres" } else { "nogroup" }, "--clear-groups", "--"]);
        made.args(command);
    } else {
        made = Command::new(command[0]);
        made.args(&command[1..]);
    }
    // Its own folder may not be readable for that user.
    made.current_dir("/tmp").env("HOME", "/tmp");
    made
}

fn succeed(what: &str, output: std::io::Result<Output>) -> Output {
    let output = output.unwrap_or_else(|error| panic!("{what} does not start: {error}"));
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().unwrap().port()
}
