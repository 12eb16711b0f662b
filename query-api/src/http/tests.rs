//! The HTTP interface through a real socket, as a client without any library sees it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{Running, start};
use crate::testing::{THREE, TestLake};

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn is_problem(&self, status: u16, kind: &str) -> String {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        let problem = self.json();
        assert_eq!(problem["type"], format!("urn:spendstream:problem:{kind}"));
        assert_eq!(problem["status"], status);
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// HTTP/1.0: the answer ends with the connection and has no chunks.
async fn send(addr: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.0\r\nhost: {addr}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

async fn sql(running: &Running, query: &str) -> Reply {
    send(running.addr(), "POST", "/v1/sql", "content-type: text/plain\r\n", query).await
}

#[tokio::test]
async fn answers_come_in_the_form_that_was_asked_for() {
    let lake = TestLake::with(&THREE).await;
    let running = start(&lake.config).await.unwrap();
    let query = "SELECT team, sum(cost) AS cost FROM usage GROUP BY team ORDER BY team";
    let json = "[{\"team\":\"billing\",\"cost\":\"0.000000000000003\"},\n{\"team\":\"search\",\"cost\":\"0.3\"}]\n";
    let csv = "team,cost\nbilling,0.000000000000003\nsearch,0.3\n";
    let body = |format: &str| format!(r#"{{"query": "{query}", "format": "{format}"}}"#);
    for (path, headers, body, expected) in [
        ("/v1/sql", "content-type: application/json\r\n", body("json"), json),
        ("/v1/sql", "", body("csv"), csv),
        ("/v1/sql", "", query.to_owned(), json),
        ("/v1/sql", "accept: text/csv\r\n", query.to_owned(), csv),
        ("/v1/sql?format=csv", "accept: application/json\r\n", query.to_owned(), csv),
        ("/v1/sql?format=json", "", body("csv"), csv),
    ] {
        let reply = send(running.addr(), "POST", path, headers, &body).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, expected), "{path} {headers} {body}");
        assert!(reply.head.contains("spendstream-lake-version: 0"), "{}", reply.head);
    }
    for (format, magic) in [("arrow", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"), ("parquet", "PAR1")] {
        let reply = send(running.addr(), "POST", &format!("/v1/sql?format={format}"), "", query).await;
        assert!(reply.body.starts_with(magic), "{format}: {:?}", &reply.body[..8]);
    }
    running.stop().await;
}

#[tokio::test]
async fn errors_are_problems_with_one_clear_line() {
    let mut lake = TestLake::with(&THREE).await;
    lake.config.query.max_rows = 2;
    lake.config.query.max_statement_bytes = 200;
    let running = start(&lake.config).await.unwrap();
    for (query, status, kind, part) in [
        ("DROP TABLE usage", 403, "refused", "refused: DROP TABLE does not read"),
        ("SELECT nothing FROM usage", 400, "sql", "nothing"),
        ("SELECT * FROM usage", 422, "row_limit", "query.max_rows = 2"),
        ("", 400, "sql", "there is no statement"),
        ("{\"sql\": \"SELECT 1\"}", 400, "invalid_request", "unknown field `sql`"),
        ("{\"query\": \"SELECT 1\", \"format\": \"xml\"}", 400, "invalid_request", "there is no format 'xml'"),
        (&"SELECT 1 ".repeat(30), 413, "statement_too_large", "270 bytes"),
    ] {
        let detail = sql(&running, query).await.is_problem(status, kind);
        assert!(detail.contains(part), "{detail}");
    }
    let addr = running.addr();
    send(addr, "POST", "/v1/sql", "accept: image/png\r\n", "SELECT 1").await.is_problem(406, "not_acceptable");
    let wrong = send(addr, "GET", "/v1/sql", "", "").await;
    wrong.is_problem(405, "method_not_allowed");
    assert!(wrong.head.contains("allow: post"), "{}", wrong.head);
    let headers = "content-type: multipart/form-data; boundary=x\r\n";
    send(addr, "POST", "/v1/sql", headers, "SELECT 1").await.is_problem(415, "unsupported_media_type");
    send(addr, "POST", "/v1/sql?fromat=csv", "", "SELECT 1").await.is_problem(400, "invalid_request");
    send(addr, "POST", "/v1/estimate", "", "nonsense").await.is_problem(400, "invalid_request");
    send(addr, "GET", "/v1/prices?at=yesterday", "", "").await.is_problem(400, "invalid_request");
    send(addr, "GET", "/nowhere", "", "").await.is_problem(404, "not_found");
    send(addr, "POST", "/v1/sql", "", &"x".repeat(200_000)).await.is_problem(413, "too_large");

    // A query is counted out when its task ends, which may be just after its answer.
    let mut metrics = send(addr, "GET", "/metrics", "", "").await.body;
    for _ in 0..1_000 {
        if metrics.contains("spendstream_queries_active 0") {
            break;
        }
        metrics = send(addr, "GET", "/metrics", "", "").await.body;
    }
    for line in [
        "spendstream_queries_total{outcome=\"refused\"} 1",
        "spendstream_queries_total{outcome=\"row_limit\"} 1",
        "spendstream_queries_active 0",
    ] {
        assert!(metrics.contains(line), "{line}:\n{metrics}");
    }
    running.stop().await;
}

#[tokio::test]
async fn requests_in_the_name_of_another_host_are_refused() {
    let lake = TestLake::with(&THREE).await;
    let running = start(&lake.config).await.unwrap();
    let mut stream = TcpStream::connect(running.addr()).await.unwrap();
    stream.write_all(b"GET /v1/status HTTP/1.0\r\nhost: rebound.example.com\r\n\r\n").await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.0 403"), "{reply}");
    let headers = "content-type: text/plain\r\norigin: https://example.com\r\n";
    let detail = send(running.addr(), "POST", "/v1/sql", headers, "SELECT 1").await.is_problem(403, "forbidden");
    assert!(detail.contains("'https://example.com'"), "{detail}");
    let headers = format!("origin: http://{}\r\n", running.addr());
    assert_eq!(send(running.addr(), "POST", "/v1/sql", &headers, "SELECT 1").await.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn queries_that_never_yield_starve_nobody() {
    let mut lake = TestLake::with(&THREE).await;
    lake.config.query.timeout = Duration::from_secs(3);
    lake.config.query.concurrency = 4;
    let running = start(&lake.config).await.unwrap();
    let greedy = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b \
                  WHERE a.value + b.value = 7";
    let asked = tokio::join!(sql(&running, greedy), sql(&running, greedy), sql(&running, greedy), async {
        for _ in 0..3 {
            let plain = sql(&running, "SELECT sum(cost) AS cost FROM usage").await;
            assert_eq!((plain.status, plain.body.as_str()), (200, "[{\"cost\":\"0.300000000000003\"}]\n"));
            assert_eq!(send(running.addr(), "GET", "/readyz", "", "").await.status, 200);
        }
    });
    for stopped in [asked.0, asked.1, asked.2] {
        stopped.is_problem(504, "timeout");
    }
    let plain = sql(&running, "SELECT count(*) AS n FROM usage").await;
    assert_eq!((plain.status, plain.body.as_str()), (200, "[{\"n\":3}]\n"));
    running.stop().await;
}

#[tokio::test]
async fn a_server_may_start_before_its_lake() {
    let lake = TestLake::empty();
    let running = start(&lake.config).await.unwrap();
    let addr = running.addr();
    assert_ne!(addr.port(), 0);
    assert_eq!(send(addr, "GET", "/healthz", "", "").await.status, 200);
    send(addr, "GET", "/readyz", "", "").await.is_problem(503, "no_lake");
    let detail = sql(&running, "SELECT 1 FROM usage").await.is_problem(503, "no_lake");
    assert!(detail.contains("spendstream pipeline"), "{detail}");
    lake.append(&THREE).await;
    assert_eq!(send(addr, "GET", "/readyz", "", "").await.status, 200);
    let status = send(addr, "GET", "/v1/status", "", "").await.json();
    assert_eq!((&status["lake"]["version"], &status["lake"]["rows"]), (&0.into(), &3.into()));
    assert!(status["lake"]["committed_at"].as_str().unwrap().ends_with('Z'));
    let tier = &status["lake"]["tiers"][0];
    assert_eq!((&tier["name"], &tier["rows"], &tier["bytes"]), (&"hot".into(), &3.into(), &status["lake"]["bytes"]));
    running.stop().await;
    assert!(TcpStream::connect(addr).await.is_err());
}

/// Ten times what an answer may hold in memory, in rows of about 90 bytes.
const LONG: &str = "SELECT value, 'some text to make the answer longer than what is held in memory' AS text \
                    FROM generate_series(1, 100000)";

/// A server that holds a megabyte of an answer in memory.
async fn with_little_memory(change: impl FnOnce(&mut spendstream_schemas::config::QueryConfig)) -> (TestLake, Running) {
    let mut lake = TestLake::with(&THREE).await;
    lake.config.query.memory_bytes = 64 << 20;
    change(&mut lake.config.query);
    let running = start(&lake.config).await.unwrap();
    (lake, running)
}

#[tokio::test]
async fn a_long_answer_arrives_whole_and_says_how_long_it_is() {
    let (_lake, running) = with_little_memory(|_| {}).await;
    let reply = sql(&running, LONG).await;
    assert_eq!(reply.status, 200);
    assert!(reply.body.len() > 8 << 20);
    assert!(reply.head.contains(&format!("content-length: {}\r\n", reply.body.len())), "{}", reply.head);
    let rows = reply.json();
    let rows = rows.as_array().unwrap();
    assert_eq!((rows.len(), &rows[99_999]["value"]), (100_000, &100_000.into()));
    let csv = send(running.addr(), "POST", "/v1/sql?format=csv", "", LONG).await;
    assert_eq!(csv.body.lines().count(), 100_001);
    assert!(csv.body.ends_with("held in memory\n"));
    running.stop().await;
}

#[tokio::test]
async fn an_answer_over_a_limit_is_a_problem_however_much_of_it_was_made() {
    let (_lake, running) = with_little_memory(|query| {
        query.max_rows = 90_000;
        query.max_answer_bytes = 12 << 20;
    })
    .await;
    let fits = LONG.replace("100000", "90000");
    let longer = fits.replace("some text", &"some text ".repeat(10));
    let fails = fits.replace("SELECT value", "SELECT 1 / (value - 89999)");
    for format in ["json", "ndjson", "csv", "arrow"] {
        let path = format!("/v1/sql?format={format}");
        let ask = async |query: &str| send(running.addr(), "POST", &path, "", query).await;
        assert_eq!(ask(&fits).await.status, 200, "{format}");
        let detail = ask(LONG).await.is_problem(422, "row_limit");
        assert!(detail.contains("query.max_rows = 90000"), "{detail}");
        let detail = ask(&longer).await.is_problem(422, "answer_limit");
        assert!(detail.contains("query.max_answer_bytes = 12582912 bytes"), "{detail}");
        ask(&fails).await.is_problem(400, "execution");
    }
    let metrics = send(running.addr(), "GET", "/metrics", "", "").await.body;
    for outcome in ["ok", "row_limit", "answer_limit", "execution"] {
        assert!(metrics.contains(&format!("spendstream_queries_total{{outcome=\"{outcome}\"}} 4\n")), "{metrics}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_keeps_no_place_for_ever() {
    let (_lake, running) = with_little_memory(|query| {
        query.concurrency = 1;
        query.timeout = Duration::from_secs(3);
    })
    .await;
    // More than sockets hold.
    let query = LONG.replace("some text", &"some text ".repeat(40));
    let mut idle = TcpStream::connect(running.addr()).await.unwrap();
    let head = format!("POST /v1/sql HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n", running.addr(), query.len());
    idle.write_all(format!("{head}{query}").as_bytes()).await.unwrap();
    let mut begin = [0; 15];
    idle.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200 OK");
    // Short answers need no file; the next long one has the idle one's place when that has waited long enough.
    assert_eq!(sql(&running, "SELECT 1 AS one").await.body, "[{\"one\":1}]\n");
    assert_eq!(sql(&running, LONG).await.status, 200);
    let mut rest = Vec::new();
    // Some systems report the broken connection as an error; what counts is that it is short.
    let _ = idle.read_to_end(&mut rest).await;
    assert!(rest.len() < 30 << 20, "{}", rest.len());
    running.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_query_along() {
    let lake = TestLake::with(&THREE).await;
    let running = start(&lake.config).await.unwrap();
    let addr = running.addr();
    let query = "SELECT count(*) FROM generate_series(1, 1000000000000)";
    let active = async |expected: &str| {
        let line = format!("spendstream_queries_active {expected}\n");
        while !send(addr, "GET", "/metrics", "", "").await.body.contains(&line) {
            tokio::task::yield_now().await;
        }
    };
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("POST /v1/sql HTTP/1.1\r\nhost: {addr}\r\ncontent-length: {}\r\n\r\n{query}", query.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    tokio::time::timeout(Duration::from_mins(1), active("1")).await.unwrap();
    drop(stream);
    tokio::time::timeout(Duration::from_secs(25), active("0")).await.unwrap();
    let metrics = send(addr, "GET", "/metrics", "", "").await.body;
    assert!(metrics.contains("spendstream_queries_total{outcome=\"client_gone\"} 1"), "{metrics}");
    running.stop().await;
}

#[tokio::test]
async fn without_keys_only_loopback_is_served() {
    let mut lake = TestLake::empty();
    for (listen, expected) in [
        ("0.0.0.0:0", "auth.mode = none asks nobody who they are"),
        ("[::]:0", "auth.mode = none asks nobody who they are"),
        ("nonsense", "query.listen = 'nonsense' is no address"),
    ] {
        lake.config.query.listen = listen.into();
        let error = start(&lake.config).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains('\n'));
    }
}

#[tokio::test]
async fn the_page_and_the_document_name_what_there_is() {
    let lake = TestLake::empty();
    let running = start(&lake.config).await.unwrap();
    let addr = running.addr();
    let page = send(addr, "GET", "/", "", "").await;
    assert!(page.head.contains("text/html"), "{}", page.head);
    assert!(page.body.contains("<textarea id=\"sql\""));
    assert!(!page.body.contains("http://") && !page.body.contains("https://"), "the page loads from elsewhere");
    // What messages about alerts link to.
    for path in ["/alerts", "/alerts/x", "/alerts/x/snooze", "/budgets/x"] {
        let page = send(addr, "GET", path, "", "").await;
        assert!(page.status == 200 && page.head.contains("text/html"), "{path}: {}", page.head);
        assert!(page.head.contains("frame-ancestors 'none'"), "{}", page.head);
        assert!(!page.body.contains("http://") && !page.body.contains("https://"), "the page loads from elsewhere");
    }
    let document = send(addr, "GET", "/openapi.json", "", "").await.json();
    let paths = document["paths"].as_object().unwrap();
    let named = ["/v1/sql", "/v1/status", "/v1/prices", "/v1/estimate", "/v1/budgets", "/v1/alerts", "/v1/coverage"];
    assert!(named.iter().all(|path| paths.contains_key(*path)), "{:?}", paths.keys());
    // What names one thing is not found when there is no such thing.
    for path in paths.keys().filter(|path| !path.contains('{')) {
        let methods = paths[path].as_object().unwrap();
        for method in methods.keys() {
            let reply = send(addr, &method.to_uppercase(), path, "", "").await;
            assert!(reply.status != 404 && reply.status != 405, "{method} {path}: {}", reply.status);
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn estimates_are_exact_and_say_what_they_rest_on() {
    let lake = TestLake::empty();
    let running = start(&lake.config).await.unwrap();
    let addr = running.addr();
    let body = r#"{"provider": "openai", "model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100}"#;
    let estimate = send(addr, "POST", "/v1/estimate", "", body).await.json();
    // 1000 × $2.50 + 100 × $10 per million.
    assert_eq!(estimate["estimated_cost"], "0.0035", "{estimate}");
    assert_eq!((&estimate["basis"], &estimate["output_basis"]), (&"given".into(), &"given".into()));
    let body = r#"{"provider": "openai", "model": "no-such-model", "input_tokens": 1}"#;
    let detail = send(addr, "POST", "/v1/estimate", "", body).await.is_problem(404, "not_found");
    assert!(detail.contains("no-such-model"), "{detail}");
    send(addr, "POST", "/v1/estimate", "", r#"{"model": "gpt-4o"}"#).await.is_problem(400, "invalid_request");

    let prices = send(addr, "GET", "/v1/prices?provider=openai&model=gpt-4o&meter=input", "", "").await.json();
    let standard = prices["prices"].as_array().unwrap().iter().find(|price| {
        price["service_tier"] == "standard" && price["region"].is_null() && price["tier_min_tokens"] == 0
    });
    assert_eq!(standard.unwrap()["price"], "2.5", "{prices}");
    running.stop().await;
}
