//! A broker that wants TLS and a password: `[kafka.client]` passes both through; what is wrong is said, without the password.

use crate::harness::broker::{Broker, USER};
use crate::harness::components::need;
use crate::harness::feed::send;
use crate::harness::instance::Setup;
use crate::harness::lake::Lake;
use crate::harness::ledger::Ledger;
use crate::harness::producer::Producer;
use crate::harness::{http, wait};

#[test]
fn events_come_over_tls_with_a_password_and_what_is_wrong_is_said() {
    need!(Kafka);
    let (broker, address, certificate) = Broker::start_secured();
    let lake = Lake::file();
    let secured = |name: &str, password: &str, trusted: bool| {
        let mut setup = Setup::new(&broker, name, 2, &lake);
        setup.set("KAFKA__BROKERS", address.as_str());
        setup.set("KAFKA__CLIENT__SECURITY_PROTOCOL", "SASL_SSL");
        setup.set("KAFKA__CLIENT__SASL_MECHANISM", "PLAIN");
        setup.set("KAFKA__CLIENT__SASL_USERNAME", USER.0);
        setup.set("KAFKA__CLIENT__SASL_PASSWORD", password);
        if trusted {
            setup.set("KAFKA__CLIENT__SSL_CA_LOCATION", certificate.display().to_string());
        }
        setup
    };
    let setup = secured("secured", USER.1, true);
    let mut ledger = Ledger::default();
    let producer = Producer::new(&broker, &setup.topic, 2);
    send(&producer, &mut ledger, "secured", 0, 200);
    producer.flush();
    let mut instance = setup.start_ready();
    ledger.wait_for(&lake, &mut instance);
    instance.stop();
    ledger.assert_equals(&lake);
    assert!(!setup.logs().contains(USER.1));

    for (name, password, trusted, expected) in [
        ("wrong-password", "wr0ng-w0rd", true, "uthentication failed"),
        ("stranger", USER.1, false, "certificate verify failed"),
    ] {
        let setup = secured(name, password, trusted);
        let mut instance = setup.start();
        wait::until(&format!("{name} is said"), || {
            instance.assert_alive();
            instance.log().contains(expected).then_some(())
        });
        let address = instance.address();
        let (status, why) = wait::until("it answers", || http::get(&address, "/readyz"));
        assert_eq!(status, 503, "{why}");
        instance.kill();
        assert!(!setup.logs().contains(password), "the password is nowhere in the log");
    }
}
