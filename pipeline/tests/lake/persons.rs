//! Persons of the random histories: who calls for whom, what an erasure leaves of the model's rows, and how often a lake still names each.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use spendstream_pipeline::lake::view::LakeView;
use spendstream_schemas::pseudonym::{Dimension, ERASED, Erasure, PrivacyKey};
use spendstream_storage::Lake;

use crate::world::Model;

/// Long enough that none is in the bytes of a file by chance.
pub const USERS: [&str; 3] = ["ada@example.com", "bob@example.com", "cyd@example.com"];
pub const CUSTOMERS: [Option<&str>; 3] = [None, Some("globex-gmbh-17"), Some("initech-gmbh-18")];

/// What a row says of persons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    pub user: &'static str,
    pub customer: Option<&'static str>,
}

/// Who can be erased: a user, or a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Person {
    User(&'static str),
    Customer(&'static str),
}

impl Person {
    /// One of all by number.
    pub fn any(number: usize) -> Self {
        let customers = CUSTOMERS.into_iter().flatten().map(Self::Customer);
        USERS.into_iter().map(Self::User).chain(customers).cycle().nth(number).unwrap()
    }

    pub fn erasure(self) -> Erasure {
        let key = PrivacyKey::new("0123456789abcdef").unwrap();
        match self {
            Self::User(user) => Erasure::new(&key, Dimension::USER, user),
            Self::Customer(customer) => Erasure::new(&key, "customer".parse().unwrap(), customer),
        }
    }

    /// What stays of a row, whether it comes later or was there.
    pub fn erased(self, names: Names) -> Names {
        match self {
            Self::User(user) if names.user == user => Names { user: ERASED, customer: None },
            Self::Customer(customer) if names.customer == Some(customer) => {
                Names { user: ERASED, customer: Some(ERASED) }
            }
            _ => names,
        }
    }
}

/// The model after an erasure that got through.
pub fn forget(model: &mut Model, person: Person) {
    for row in model.values_mut() {
        row.names = person.erased(row.names);
    }
}

/// How many rows of the model name each person.
pub fn named_in(model: &Model) -> BTreeMap<String, i64> {
    let mut named = BTreeMap::new();
    for names in model.values().map(|row| row.names) {
        for name in [Some(names.user), names.customer].into_iter().flatten().filter(|name| *name != ERASED) {
            *named.entry(name.to_owned()).or_default() += 1;
        }
    }
    named
}

/// How many rows of all tiers name each person.
pub async fn named(lake: &Lake) -> BTreeMap<String, i64> {
    let view = LakeView::open(lake, 256 << 20).await.unwrap();
    let mut named = BTreeMap::new();
    for column in ["user_id", "customer"] {
        let sql = format!("SELECT {column}, count(*) FROM usage WHERE {column} <> '{ERASED}' GROUP BY 1");
        for batch in view.rows(&sql).await.unwrap() {
            let names = arrow::compute::cast(batch.column(0), &DataType::Utf8).unwrap();
            let counts = batch.column(1).as_primitive::<Int64Type>().values();
            let pairs = names.as_string::<i32>().iter().flatten().zip(counts);
            named.extend(pairs.map(|(name, count)| (name.to_owned(), *count)));
        }
    }
    named
}
