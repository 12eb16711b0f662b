//! A real driver over TCP against a real lake: what it reads, what is refused, and how it ends.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::server::{Running, start};
use crate::testing::{Row, THREE, TestLake};

/// Counts for far longer than any test lasts.
const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000000000)";

async fn connect(running: &Running, more: &str) -> Result<Client, tokio_postgres::Error> {
    let addr = running.pg_addr().unwrap();
    let options = format!("host={} port={} user=ann dbname=any {more}", addr.ip(), addr.port());
    let (client, connection) = tokio_postgres::connect(&options, NoTls).await?;
    // Ends with the client.
    tokio::spawn(connection);
    Ok(client)
}

async fn serving(rows: &[Row]) -> (TestLake, Running, Client) {
    let lake = TestLake::with(rows).await;
    let running = start(&lake.config).await.unwrap();
    let client = connect(&running, "").await.unwrap();
    (lake, running, client)
}

/// Rows as a client in text mode sees them, and what it is told of each statement's end.
async fn simple(client: &Client, sql: &str) -> String {
    let mut told = Vec::new();
    for message in client.simple_query(sql).await.unwrap() {
        match message {
            SimpleQueryMessage::Row(row) => {
                let values: Vec<&str> = (0..row.len()).map(|index| row.get(index).unwrap_or("NULL")).collect();
                told.push(values.join("|"));
            }
            SimpleQueryMessage::CommandComplete(rows) => told.push(format!("({rows})")),
            _ => {}
        }
    }
    told.join(" ")
}

/// The code of the error that a statement ends with, and its message.
async fn refused(client: &Client, sql: &str) -> (String, String) {
    let error = client.simple_query(sql).await.unwrap_err();
    let error = error.as_db_error().expect("an error of the server");
    (error.code().code().to_owned(), error.message().to_owned())
}

#[tokio::test]
async fn every_digit_of_an_amount_arrives_in_text_and_binary() {
    let (_lake, running, client) = serving(&THREE).await;
    let told = simple(&client, "SELECT team, sum(cost) AS cost FROM usage GROUP BY team ORDER BY team; SELECT 1").await;
    assert_eq!(told, "billing|0.000000000000003 search|0.3 (2) 1 (1)");
    let sql = "SELECT sum(cost) AS cost, count(*) AS calls, max(event_time) AS latest, max(date) AS last_day, bool_and(cost > $1) AS above, \
               'a' AS word, 1.5::double AS half FROM usage WHERE date >= $2 AND team <> $3";
    let day = NaiveDate::from_ymd_opt(2026, 11, 1).unwrap();
    let prepared = client.prepare_typed(sql, &[Type::NUMERIC, Type::DATE, Type::TEXT]).await.unwrap();
    let low: Decimal = "0.000000000000000000001".parse().unwrap();
    let row = client.query_one(&prepared, &[&low, &day, &"nobody"]).await.unwrap();
    assert_eq!(row.get::<_, Decimal>(0), "0.300000000000003".parse().unwrap());
    assert_eq!(row.get::<_, i64>(1), 3);
    assert_eq!(row.get::<_, DateTime<Utc>>(2), "2026-11-02T12:00:00Z".parse::<DateTime<Utc>>().unwrap());
    assert_eq!(row.get::<_, NaiveDate>(3), day.succ_opt().unwrap());
    assert!(row.get::<_, bool>(4));
    assert_eq!((row.get::<_, &str>(5), row.get::<_, f64>(6).to_bits()), ("a", 1.5_f64.to_bits()));
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn types_of_parameters_follow_from_where_they_stand() {
    let (_lake, running, client) = serving(&THREE).await;
    let sql = "SELECT event_id FROM usage WHERE date = $1 AND cost > $2 AND team = $3 LIMIT $4";
    let prepared = client.prepare(sql).await.unwrap();
    assert_eq!(prepared.params(), &[Type::DATE, Type::NUMERIC, Type::TEXT, Type::INT8]);
    assert_eq!(prepared.columns()[0].type_(), &Type::TEXT);
    let day = NaiveDate::from_ymd_opt(2026, 11, 1).unwrap();
    let more: Decimal = "0.1".parse().unwrap();
    let rows = client.query(&prepared, &[&day, &more, &"search", &9_i64]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, &str>(0)).collect::<Vec<_>>(), ["b"]);
    let none: Option<&str> = None;
    assert!(client.query(&prepared, &[&day, &more, &none, &9_i64]).await.unwrap().is_empty());
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn a_portal_is_fetched_piece_by_piece() {
    let (_lake, running, mut client) = serving(&THREE).await;
    let transaction = client.transaction().await.unwrap();
    let prepared = transaction.prepare("SELECT event_id FROM usage ORDER BY event_id").await.unwrap();
    let portal = transaction.bind(&prepared, &[]).await.unwrap();
    let mut pieces = Vec::new();
    for _ in 0..3 {
        let rows = transaction.query_portal(&portal, 2).await.unwrap();
        pieces.push(rows.iter().map(|row| row.get::<_, String>(0)).collect::<String>());
    }
    assert_eq!(pieces, ["ab", "c", ""]);
    transaction.commit().await.unwrap();
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn what_is_refused_says_so_and_the_session_goes_on() {
    let (_lake, running, client) = serving(&THREE).await;
    for (sql, code, said) in [
        ("DELETE FROM usage", "25006", "DELETE does not read"),
        ("COPY usage TO 'x'", "25006", "COPY"),
        ("CREATE TABLE x (a int)", "25006", "CREATE TABLE"),
        ("SELECT nothing FROM usage", "42703", "nothing"),
        ("SELECT * FROM nowhere", "42P01", "nowhere"),
        ("SELEC 1", "42601", "syntax error"),
        ("SELECT 1 / 0", "22012", "Divide by zero"),
        ("SHOW nothing", "42704", "SHOW ALL"),
        ("SET statement_timeout = 'soon'", "22023", "soon"),
    ] {
        let (found, message) = refused(&client, sql).await;
        let hint = if said == "SHOW ALL" { "no setting" } else { said };
        assert!(found == code && message.contains(hint), "{sql}: {found} {message}");
    }
    assert!(client.prepare("INSERT INTO usage SELECT * FROM usage").await.is_err());
    assert_eq!(simple(&client, "SELECT 1").await, "1 (1)");
    assert_eq!(refused(&client, "SELECT 1; SELEC; SELECT 2").await.0, "42601");
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn a_failed_statement_fails_its_transaction_until_it_ends() {
    let (_lake, running, client) = serving(&THREE).await;
    simple(&client, "BEGIN; SELECT 1").await;
    refused(&client, "SELEC").await;
    assert_eq!(refused(&client, "SELECT 1").await.0, "25P02");
    simple(&client, "ROLLBACK").await;
    assert_eq!(
        simple(&client, "SET application_name = 'x'; SHOW application_name; SHOW timezone").await,
        "(0) x (0) UTC (0)"
    );
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn a_query_ends_when_it_is_cancelled_or_its_time_is_over() {
    let (_lake, running, client) = serving(&THREE).await;
    let cancel = client.cancel_token();
    // Asked again until the query is there to be cancelled.
    let ended = {
        let mut query = std::pin::pin!(client.simple_query(ENDLESS));
        loop {
            tokio::select! {
                ended = &mut query => break ended,
                asked = cancel.cancel_query(NoTls) => asked.unwrap(),
            }
        }
    };
    assert_eq!(ended.unwrap_err().code().map(|code| code.code().to_owned()).as_deref(), Some("57014"));
    simple(&client, "SET statement_timeout = '50ms'").await;
    let (code, message) = refused(&client, ENDLESS).await;
    assert!(code == "57014" && message.contains("statement_timeout"), "{code} {message}");
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn clients_look_up_tables_and_columns() {
    let (_lake, running, client) = serving(&THREE).await;
    for (sql, expected) in [
        ("SELECT current_database(), current_schema()", "spendstream|public (1)"),
        ("SELECT pg_catalog.version() LIKE 'PostgreSQL 16.6 %'", "t (1)"),
        (
            "SELECT n.nspname, c.relname, c.relkind FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
          WHERE c.relname IN ('usage', 'spend') AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2",
            "public|spend|v public|usage|r (2)",
        ),
        (
            "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a \
          WHERE a.attrelid = 'usage'::regclass AND a.attname IN ('cost', 'date', 'tags', 'event_time') ORDER BY 1",
            "cost|numeric date|date event_time|timestamp with time zone tags|text (4)",
        ),
        (
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name = 'usage'",
            "public|usage (1)",
        ),
    ] {
        assert_eq!(simple(&client, sql).await, expected, "{sql}");
    }
    drop(client);
    running.stop().await;
}

/// Sends bytes and reads until the server ends the connection.
async fn raw(running: &Running, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(running.pg_addr().unwrap()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut all = Vec::new();
    let read = tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut all));
    read.await.expect("the server ends the connection").unwrap();
    all
}

#[tokio::test]
async fn strangers_are_told_and_left() {
    let (_lake, running, client) = serving(&THREE).await;
    let fatal = |all: Vec<u8>| String::from_utf8_lossy(&all).into_owned();
    assert!(fatal(raw(&running, b"GET / HTTP/1.1\r\n\r\n").await).contains("08P01"));
    assert!(fatal(raw(&running, b"\0\0\0\x08\0\x02\0\0").await).contains("version 2"));
    let too_large = [b"\0\0\0\x09\0\x03\0\0\0".as_slice(), b"Q\x7f\xff\xff\xff"].concat();
    assert!(fatal(raw(&running, &too_large).await).contains("query.pg_max_message_bytes"));
    // Asks for TLS, is refused, and leaves.
    let tls = [b"\0\0\0\x08\x04\xd2\x16\x2f".as_slice(), b"\0\0\0\x09\0\x03\0\0\0", b"X\0\0\0\x04"].concat();
    assert_eq!(raw(&running, &tls).await.first(), Some(&b'N'));
    drop(client);
    running.stop().await;
}

#[tokio::test]
async fn a_client_too_many_is_told_so() {
    let mut lake = TestLake::with(&THREE).await;
    lake.config.query.pg_connections = 1;
    let running = start(&lake.config).await.unwrap();
    let one = connect(&running, "").await.unwrap();
    let error = connect(&running, "").await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code().to_owned()).as_deref(), Some("53300"));
    assert_eq!(simple(&one, "SELECT 1").await, "1 (1)");
    drop(one);
    running.stop().await;
    lake.config.query.pg_listen = "0.0.0.0:0".into();
    let error = start(&lake.config).await.unwrap_err().to_string();
    assert!(error.contains("query.pg_listen") && error.contains("auth.mode = none"), "{error}");
}

#[tokio::test]
async fn with_keys_the_password_is_a_key_that_may_read() {
    use spendstream_control::keys::Role;
    use spendstream_control::{Act, Store};
    use spendstream_schemas::config::AuthMode;

    let mut lake = TestLake::with(&THREE).await;
    lake.config.auth.mode = AuthMode::Keys;
    let store = Store::open(&lake.config.store.url).await.unwrap();
    let act = Act { who: "ann", now: "2026-11-27T12:00:00Z".parse().unwrap() };
    let analyst = store.keys().create("finance", Role::Analyst, &[], &act).await.unwrap();
    let producer = store.keys().create("app", Role::Producer, &[], &act).await.unwrap();
    let running = start(&lake.config).await.unwrap();
    let client = connect(&running, &format!("password={}", analyst.secret)).await.unwrap();
    assert_eq!(simple(&client, "SELECT count(*) FROM usage").await, "3 (1)");
    for (password, code) in [("ssk_wrong".to_owned(), "28P01"), (producer.secret, "28000")] {
        let error = connect(&running, &format!("password={password}")).await.unwrap_err();
        assert_eq!(error.code().map(|code| code.code().to_owned()).as_deref(), Some(code));
    }
    drop(client);
    running.stop().await;
}
