//! `spendstream demo` with nothing else installed: it ends by itself with 0, its lake is sound, a second run continues it;
//! somebody else's lake is refused.

use crate::harness::broker;
use crate::harness::components::need;
use crate::harness::events::event;
use crate::harness::instance::Setup;
use crate::harness::lake::{Lake, text};
use crate::harness::producer::Producer;

#[test]
fn the_demo_ends_by_itself_and_a_second_run_continues_its_lake() {
    let lake = Lake::file();
    let folder = lake.folder();
    let run = || {
        let output =
            lake.run(&["demo", "--for", "5s", "--listen", "127.0.0.1:0", "--lake", &folder.display().to_string()]);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{said}");
        for word in ["team", "model", "duckdb", "$"] {
            assert!(said.to_lowercase().contains(word), "no '{word}' in: {said}");
        }
        lake.assert_clean();
        lake.count()
    };
    let first = run();
    assert!(first > 0, "the demo wrote rows");
    let second = run();
    assert!(second > first, "the second run added to {first} rows");
    let clusters = &lake.rows("SELECT count(DISTINCT source_cluster) AS n FROM usage")[0];
    assert_eq!(text(&clusters["n"]), "2", "each run is a source of its own");
}

#[test]
fn the_demo_writes_nothing_into_a_lake_with_other_events() {
    need!(Kafka);
    let (broker, lake) = (broker::shared(), Lake::file());
    let setup = Setup::new(broker, "demo-refused", 1, &lake);
    let producer = Producer::new(broker, &setup.topic, 1);
    let real = event("real", 0);
    producer.send(&real.id, real.json.as_bytes());
    producer.flush();
    let mut instance = setup.start_ready();
    instance.wait_rows(&lake, 1);
    instance.stop();
    let before = lake.version();
    let output = lake.run(&["demo", "--for", "1s", "--lake", &lake.folder().display().to_string()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("holds events of kafka.cluster 'main'") && said.contains("--lake"), "{said}");
    assert_eq!((lake.version(), lake.count()), (before, 1));
}
