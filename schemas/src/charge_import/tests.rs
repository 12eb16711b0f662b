//! Costs of clusters and clouds become charges, whose and exactly.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use super::{Rules, allocation, dimension, focus};
use crate::bill::focus::from_csv;
use crate::dimension::Text;
use crate::statement::carry::Open;

const ALLOCATION: &str = r#"{"code":200,"data":[{
  "gpu-pool": {"name":"gpu-pool","properties":{"cluster":"one","namespace":"inference","labels":{"team":"search","cost-center":"4711"}},
    "window":{"start":"2026-10-01T00:00:00Z","end":"2026-10-02T00:00:00Z"},"cpuCost":1.5,"totalCost":12.340000000000002},
  "web": {"name":"web","properties":{"cluster":"one","namespace":"web"},
    "window":{"start":"2026-10-01T00:00:00Z","end":"2026-10-02T00:00:00Z"},"totalCost":1e-3},
  "__idle__": {"name":"__idle__","window":{"start":"2026-10-01T00:00:00Z","end":"2026-10-02T00:00:00Z"},"totalCost":0}}, null]}"#;

fn rules() -> Rules {
    Rules {
        labels: BTreeMap::new(),
        fixed: BTreeMap::new(),
        currency: "USD".into(),
        zone: Tz::UTC,
        open: None,
        now: "2026-11-05T12:00:00Z".parse().unwrap(),
    }
}

#[test]
fn allocations_belong_to_their_labels_or_namespace() {
    let charges = allocation::read(ALLOCATION, "opencost", &rules()).unwrap();
    let shown: Vec<_> = charges
        .iter()
        .map(|one| {
            (
                one.texts[&Text::Team].as_str(),
                one.texts.get(&Text::CostCenter).map(String::as_str),
                one.amount.to_string(),
                one.billing_period.as_str(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("search", Some("4711"), "12.340000000000002".to_owned(), "2026-10"),
            ("web", None, "0.001".to_owned(), "2026-10")
        ]
    );
    assert_eq!(allocation::read(ALLOCATION, "opencost", &rules()).unwrap()[0].id, charges[0].id);
    let mapped = Rules { labels: BTreeMap::from([(Text::Project, "team".to_owned())]), ..rules() };
    assert_eq!(allocation::read(ALLOCATION, "opencost", &mapped).unwrap()[0].texts[&Text::Project], "search");
    assert!(dimension("user_id").is_err() && dimension("team").is_ok());
}

#[test]
fn costs_of_a_closed_month_count_in_the_open_one() {
    let (month, now) = ("2026-11".parse::<crate::statement::Month>().unwrap(), rules().now);
    let (start, end) = month.span(Tz::UTC);
    let open = Rules { open: Some(Open { month, start, end }), ..rules() };
    let charges = allocation::read(ALLOCATION, "kubecost", &open).unwrap();
    assert_eq!((charges[0].billing_period.as_str(), charges[0].time), ("2026-11", now.timestamp_micros()));
    assert_eq!(charges[0].period.0, 1_790_812_800_000_000);
}

#[test]
fn focus_rows_are_charges_and_equal_rows_are_two() {
    let header = "BilledCost,BillingCurrency,ChargeCategory,ChargeClass,ChargePeriodStart,ChargePeriodEnd,ProviderName,ServiceName,Tags\n";
    let row =
        "-0.5,USD,Credit,NULL,2026-10-01 00:00:00,2026-10-02 00:00:00,AWS,EC2,\"{\"\"team\"\": \"\"search\"\"}\"\n";
    let rows = from_csv(&format!("{header}{row}{row}")).unwrap();
    let charges = focus::read(&rows, &rules()).unwrap();
    assert_eq!(charges.len(), 2);
    assert_ne!(charges[0].id, charges[1].id);
    assert_eq!((charges[0].amount.to_string(), charges[0].texts[&Text::Team].as_str()), ("-0.5".to_owned(), "search"));
    let wrong = from_csv(&format!("{header}{}", row.replace("USD", "EUR"))).unwrap();
    assert!(focus::read(&wrong, &rules()).unwrap_err().contains("row 1: it is in EUR"));
}
