//! A model that no price book knows: the event is kept, marked, counted, and never costs a silent zero.

use crate::harness::broker;
use crate::harness::components::need;
use crate::harness::events::event;
use crate::harness::instance::Setup;
use crate::harness::lake::{Lake, text};
use crate::harness::producer::Producer;

#[test]
fn an_unknown_model_is_kept_unpriced_and_shown() {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, "unpriced", 1, &lake);
    let producer = Producer::new(broker, &setup.topic, 1);
    let known = event("known", 0);
    producer.send(&known.id, known.json.as_bytes());
    for (id, provider, model) in
        [("u1", "openai", "gpt-99-nova"), ("u2", "openai", "gpt-99-nova"), ("u3", "nobody", "m")]
    {
        let json = format!(
            r#"{{"id":"{id}","time":"2026-11-02T00:00:00Z","provider":"{provider}","model":"{model}","usage":{{"input_tokens":1000,"output_tokens":10}}}}"#
        );
        producer.send(id, json.as_bytes());
    }
    producer.flush();
    let mut instance = setup.start_ready();
    instance.wait_rows(&lake, 4);
    assert_eq!(instance.metric("spendstream_unpriced_total", &["gpt-99-nova"]), 2, "{}", instance.metrics());
    instance.stop();

    let rows = lake.rows(
        "SELECT event_id, cost, price_status, unpriced_reason, input_tokens FROM usage WHERE event_id LIKE 'u%' ORDER BY event_id",
    );
    assert_eq!(rows.len(), 3);
    for row in rows {
        assert!(row.get("cost").is_none_or(serde_json::Value::is_null), "{row:?}");
        assert_eq!(text(&row["price_status"]), "unpriced");
        assert_eq!(text(&row["input_tokens"]), "1000");
        assert!(!text(&row["unpriced_reason"]).is_empty());
    }
    lake.assert_clean();
}
