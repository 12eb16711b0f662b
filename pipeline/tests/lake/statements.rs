//! A closed month stays what its statement says; what comes later is in the open month, once, however often it is carried there.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use spendstream_pipeline::lake::charges::Charges;
use spendstream_pipeline::lake::statements::adjust::{adjust, differences};
use spendstream_pipeline::lake::statements::close::{Close, close};
use spendstream_pipeline::lake::statements::lines::{Looked, Period};
use spendstream_pipeline::lake::statements::{StatementError, bills, file};
use spendstream_schemas::bill::variance::Reason;
use spendstream_schemas::bill::{Bill, read};
use spendstream_schemas::config::Config;
use spendstream_schemas::money::Amount;
use spendstream_schemas::statement::change::Cause;
use spendstream_schemas::statement::{Figures, Month, Statement, totals};
use spendstream_schemas::table::charges::{Charge, ChargeCategory};
use spendstream_storage::Lake;

use crate::support::{commit, cost, memory, open};

const MEMORY: usize = 64 << 20;

fn now() -> DateTime<Utc> {
    "2026-12-02T12:00:00Z".parse().unwrap()
}

fn november() -> Month {
    "2026-11".parse().unwrap()
}

async fn closed(lake: &Lake) -> Result<Statement, StatementError> {
    let asked =
        Close { month: november(), zone: Tz::UTC, force: false, allow_unpriced: false, who: "test", now: now() };
    close(lake, &Config::default(), asked).await
}

/// What the view `spend` would say of a month.
async fn month(lake: &Lake, month: Month) -> Figures {
    let (start, end) = month.span(Tz::UTC);
    let looked = Looked::open(lake, MEMORY).await.unwrap();
    totals(&looked.lines(&Period { month: month.to_string(), start, end }).await.unwrap()).unwrap()
}

fn costs(offsets: std::ops::Range<i64>) -> Amount {
    Amount::from_units(offsets.map(cost).sum()).unwrap()
}

#[tokio::test]
async fn what_comes_late_counts_in_the_open_month_once() {
    let lake = memory();
    let mut committer = open(&lake).await;
    committer.commit(commit(&[(0, 0, 6)])).await.unwrap();
    let statement = closed(&lake).await.unwrap();
    assert_eq!((statement.calls, statement.cost.as_str()), (6, &*costs(0..6).to_string()));
    assert_eq!(statement.offsets.values().collect::<Vec<_>>(), [&6]);
    let lines = file::read(&lake, &statement).await.unwrap();
    assert!(lines.iter().flat_map(|line| &line.users).all(|user| user.len() == 16 && !user.contains("ada")));

    committer.commit(commit(&[(0, 6, 9)])).await.unwrap();
    let looked = Looked::open(&lake, MEMORY).await.unwrap();
    let found = differences(&lake, &looked, &statement).await.unwrap();
    assert_eq!(found.iter().map(|one| one.causes.clone()).collect::<Vec<_>>(), [vec![Cause::Late]]);
    assert_eq!((found[0].late.calls, found[0].open().unwrap().cost()), (3, costs(6..9)));

    // Two at the same time, and once more.
    let statements = [statement.clone()];
    let run = || adjust(&lake, MEMORY, &statements, now(), Tz::UTC);
    let (one, other) = tokio::join!(run(), run());
    let written: usize = [one.unwrap(), other.unwrap()].iter().flatten().map(|one| one.appended.written).sum();
    assert_eq!(written, 2, "one charge out of the month and one into the next");
    assert!(run().await.unwrap().is_empty());
    assert_eq!((month(&lake, november()).await.cost(), month(&lake, november()).await.calls), (costs(0..6), 6));
    assert_eq!(
        (month(&lake, november().next()).await.cost(), month(&lake, november().next()).await.calls),
        (costs(6..9), 3)
    );

    committer.commit(commit(&[(0, 9, 10)])).await.unwrap();
    assert_eq!(run().await.unwrap()[0].figures.cost(), costs(9..10), "what comes later still is carried too");
    assert_eq!(month(&lake, november()).await.cost(), costs(0..6));
    assert_eq!(month(&lake, november().next()).await.cost(), costs(6..10));
}

#[tokio::test]
async fn a_statement_that_was_changed_is_not_believed() {
    let lake = memory();
    open(&lake).await.commit(commit(&[(0, 0, 4)])).await.unwrap();
    let statement = closed(&lake).await.unwrap();
    let path = Path::from(statement.path.as_str());
    let mut bytes = lake.store().get(&path).await.unwrap().bytes().await.unwrap().to_vec();
    bytes[40] ^= 1;
    lake.store().put(&path, bytes.into()).await.unwrap();
    let error = file::read(&lake, &statement).await.unwrap_err().to_string();
    assert!(error.contains("was changed"), "{error}");
    lake.store().delete(&path).await.unwrap();
    assert!(file::read(&lake, &statement).await.unwrap_err().to_string().contains("is gone"));
    let early =
        Close { month: november().next(), zone: Tz::UTC, force: true, allow_unpriced: true, who: "test", now: now() };
    assert!(matches!(close(&lake, &Config::default(), early).await, Err(StatementError::Refused(_))));
}

#[tokio::test]
async fn charges_are_appended_once() {
    let lake = memory();
    let charge = |id: &str| Charge::blank(id.to_owned(), ChargeCategory::Credit, "USD", "test");
    let (charges, other) = (Charges::new(&lake), Charges::new(&lake));
    assert_eq!(charges.append(&[charge("a"), charge("a")]).await.unwrap().written, 1);
    let (one, two) = ([charge("a"), charge("b")], [charge("b"), charge("c")]);
    let (one, two) = tokio::join!(charges.append(&one), other.append(&two));
    assert_eq!(one.unwrap().written + two.unwrap().written, 2);
    assert_eq!(charges.append(&[charge("a"), charge("b"), charge("c")]).await.unwrap().known, 3);
}

#[tokio::test]
async fn a_bill_that_is_accepted_leaves_no_difference() {
    let lake = memory();
    open(&lake).await.commit(commit(&[(0, 0, 4)])).await.unwrap();
    let text = "date,model,amount,currency\n2026-11-22,gpt-5,1.5,USD\n2026-11-21,gpt-6,2,USD\n";
    let (format, currency, lines) = read(text, None).unwrap();
    let bill = Bill { id: "x".into(), provider: "openai".into(), format, file: "bill.csv".into(), currency, lines };
    let looked = Looked::open(&lake, MEMORY).await.unwrap();
    let found = bills::reconcile(&looked, &bill).await.unwrap();
    // The calls of this lake have no provider: none of them is on this bill.
    assert_eq!(found.variances.iter().map(|one| one.reason).collect::<Vec<_>>(), [Reason::MissingEvents; 2]);
    let booking = bills::Booking { open: None, zone: Tz::UTC, now: now() };
    let charges = bills::residuals(&bill, &found, booking).unwrap();
    assert_eq!(Charges::new(&lake).append(&charges).await.unwrap().written, 2);
    assert_eq!(Charges::new(&lake).append(&charges).await.unwrap().known, 2);
    let looked = Looked::open(&lake, MEMORY).await.unwrap();
    let again = bills::reconcile(&looked, &bill).await.unwrap();
    assert!(again.variances.iter().all(|one| one.reason == Reason::None));
    assert!(bills::residuals(&bill, &again, booking).unwrap().is_empty());
    assert_eq!(
        month(&lake, november()).await.cost(),
        costs(0..4) + Amount::from_decimal("3.5".parse().unwrap()).unwrap()
    );
}
