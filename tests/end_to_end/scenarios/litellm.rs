//! A stock `LiteLLM` proxy: its generic API callback posts to `POST /v1/events`, and every call it passed on is a row at its cost.

use crate::harness::broker;
use crate::harness::captures::{Call, assert_no_secrets, charged};
use crate::harness::components::need;
use crate::harness::emitters::LiteLlm;
use crate::harness::events::femto;
use crate::harness::instance::Setup;
use crate::harness::lake::{Lake, text};
use crate::harness::{topics, upstream};

#[test]
fn calls_of_the_proxy_reach_the_ledger() {
    need!(Kafka, Emitters);
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, "litellm-proxy", 2, &lake);
    let mut instance = setup.start_ready();
    let events = format!("http://{}/v1/events?unreadable=dead_letter", instance.address());
    let calls = [("gpt-4o", false), ("gpt-4o", true), ("gpt-4o-mini", false), ("gpt-4o-mini", true)];
    let proxy = LiteLlm::start(&upstream::start(), &events, calls.len());
    for (model, stream) in calls {
        proxy.chat(model, stream);
    }
    instance.wait_rows(&lake, 4);
    instance.stop();
    let call = |model: &str, cost: &str| -> Call { (model.to_owned(), 1200, 1024, 80, femto(cost)) };
    let (large, small) = (call("gpt-4o", "0.00252"), call("gpt-4o-mini", "0.0001512"));
    assert_eq!(charged(&lake), [large.clone(), large, small.clone(), small]);
    // `user` of a call is whom the proxy's caller works for; who the caller is says its key.
    let rows = lake.rows("SELECT DISTINCT provider, customer, payload_kind, reasoning_tokens FROM usage");
    assert_eq!(rows.len(), 1, "{rows:?}");
    let found = ["provider", "customer", "payload_kind", "reasoning_tokens"].map(|column| text(&rows[0][column]));
    assert_eq!(found, ["openai", "alice", "litellm", "32"]);
    assert!(topics::read(broker, &setup.dead).is_empty(), "nothing was rejected");
    assert_no_secrets(&setup, &lake);
    lake.assert_clean();
}
