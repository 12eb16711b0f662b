//! One file per promise. Each scenario has its own topics, group and lake; most share one broker.

mod anomalies;
mod budgets;
mod captures;
mod chaos;
mod collector;
mod compose;
mod dead_letters;
mod demo;
mod duplicates;
mod flow;
mod http_intake;
mod instances;
mod keys;
mod kill;
mod litellm;
mod otel_sdk;
mod outage;
mod owners;
mod rebalance;
mod recreated;
mod secured;
mod tiers;
mod transactions;
mod unpriced;
