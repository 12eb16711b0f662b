//! One delivery by HTTP: what is sent, and what is made of each answer.

use std::fmt::Write as _;
use std::time::Duration;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use spendstream_notify::failure::Verdict;

use crate::support::receiver::{Answer, OK, Receiver};
use crate::support::sample::{alert, desk, hook, now};

/// The verdict and reason of one delivery to a receiver that answers so.
async fn failure(answer: Answer) -> (Verdict, String) {
    let receiver = Receiver::start(vec![answer]).await;
    let text = hook(receiver.port).replace("[notify]", "[notify]\ntimeout = '200ms'\nlease = '10s'");
    let failure = desk(&text).send("hook", &[alert()], None, now()).await.unwrap_err();
    assert_eq!(receiver.got(1).await.len(), 1);
    for secret in ["T0kenInThePath", "Signature1", "whsec_test"] {
        assert!(!failure.reason.contains(secret), "{}", failure.reason);
    }
    (failure.verdict, failure.reason)
}

#[tokio::test]
async fn a_webhook_is_signed_and_carries_the_alert() {
    let receiver = Receiver::start(vec![OK]).await;
    desk(&hook(receiver.port)).send("hook", &[alert()], None, now()).await.unwrap();
    let request = receiver.got(1).await.remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:"))).unwrap();
        line.split_once(": ").unwrap().1.to_owned()
    };
    assert!(head.starts_with("POST /hooks/T0kenInThePath?sig=Signature1 HTTP/1.1"));
    assert_eq!(header("idempotency-key"), alert().id);
    assert_eq!(header("spendstream-timestamp"), now().timestamp().to_string());
    let mut mac = Hmac::<Sha256>::new_from_slice(b"whsec_test").unwrap();
    mac.update(format!("{}.{body}", now().timestamp()).as_bytes());
    let mut expected = String::new();
    for byte in mac.finalize().into_bytes() {
        write!(expected, "{byte:02x}").unwrap();
    }
    assert_eq!(header("spendstream-signature"), format!("v1={expected}"));
    let value: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(value["alerts"][0]["value"], "81.25");
    assert_eq!(value["alerts"][0]["links"]["look"], format!("https://spend.example.org/alerts/{}", alert().id));
}

#[tokio::test]
async fn answers_decide_whether_to_try_again() {
    let busy =
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: 77\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy";
    let (verdict, reason) = failure(Answer::Say(busy)).await;
    assert_eq!(verdict, Verdict::RetryAfter(Duration::from_secs(77)));
    assert_eq!(reason, "answered 429 Too Many Requests: busy");
    let broken = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert_eq!(failure(Answer::Say(broken)).await.0, Verdict::Retry);
    let echo = "HTTP/1.1 404 Not Found\r\ncontent-length: 43\r\nconnection: close\r\n\r\nno route /hooks/T0kenInThePath?sig=Signature1";
    let (verdict, reason) = failure(Answer::Say(echo)).await;
    assert_eq!(
        (verdict, reason.starts_with("answered 404 Not Found: no route ")),
        (Verdict::Refused, true),
        "{reason}"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::start(vec![OK]).await;
    let text = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:{}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        elsewhere.port
    );
    let (verdict, reason) = failure(Answer::Say(text.leak())).await;
    assert_eq!(verdict, Verdict::Refused);
    assert_eq!(reason, "answered 307 Temporary Redirect: redirects are not followed, configure the final URL");
    assert_eq!(elsewhere.so_far(), 0);
}

#[tokio::test]
async fn a_receiver_that_hangs_is_left() {
    assert_eq!(failure(Answer::Hang).await, (Verdict::Retry, "no answer in time".into()));
}

#[tokio::test]
async fn private_addresses_are_refused_by_number_and_by_name() {
    let receiver = Receiver::start(vec![OK]).await;
    for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"] {
        let text = hook(receiver.port).replace("allow_private_addresses = true", "").replace("127.0.0.1", host);
        let failure = desk(&text).send("hook", &[alert()], None, now()).await.unwrap_err();
        assert_eq!(failure.verdict, Verdict::Refused, "{host}: {}", failure.reason);
        assert!(
            failure.reason.ends_with("this machine; notify.allow_private_addresses allows it"),
            "{}",
            failure.reason
        );
    }
    assert_eq!(receiver.so_far(), 0);
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_tried_again() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let failure = desk(&hook(port)).send("hook", &[alert()], None, now()).await.unwrap_err();
    assert_eq!(failure.verdict, Verdict::Retry);
    assert!(!failure.reason.contains("T0ken"), "{}", failure.reason);
}

#[tokio::test]
async fn a_test_says_that_it_is_one() {
    let receiver = Receiver::start(vec![OK]).await;
    desk(&hook(receiver.port)).send_test("hook", now()).await.unwrap();
    assert!(receiver.got(1).await[0].contains("Test: this is how an alert looks"));
    let unknown = desk(&hook(1)).send_test("hok", now()).await.unwrap_err();
    assert_eq!(unknown.reason, "there is no channel 'hok'; configured are: hook");
}
