//! The `OpenAPI` document of this listener. In comes nothing, out comes a file of this crate.

use axum::http::header;
use axum::response::IntoResponse;

const OPENAPI: &str = include_str!("openapi.json");

pub async fn document() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use serde_json::Value;
    use spendstream_schemas::config::Config;
    use tokio::sync::watch;
    use tower::ServiceExt as _;

    use super::super::{Shared, routes};
    use crate::aggregate::live::Live as Totals;
    use crate::aggregate::plan::{Bucketing, DimensionSet};
    use crate::budget::fixture::Desk;
    use crate::metrics::Metrics;
    use crate::status::Status;

    #[tokio::test]
    async fn the_document_names_what_there_is() {
        let config = Config::default();
        let shared = Shared::new(&config, &Arc::new(Metrics::new().unwrap()), &Arc::new(Status::default())).unwrap();
        let (_opened, store) = watch::channel(None);
        let totals = Totals::new(&config.live);
        totals.watch(&[(DimensionSet::new([]), Bucketing::Quarters { keep: 4 })]);
        let router = routes(shared, &Arc::new(Desk::new("", &[]).live), (&store, &totals));
        let ask = async |method: &str, path: &str| {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap()
        };
        let response = ask("GET", "/openapi.json").await;
        assert_eq!(response.headers()["content-type"].to_str().unwrap(), "application/json");
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        let paths = document["paths"].as_object().unwrap();
        // A router does not say what it routes: a new address belongs here, too.
        let named = [
            "/healthz",
            "/metrics",
            "/openapi.json",
            "/readyz",
            "/v1/blocks",
            "/v1/blocks/{id}",
            "/v1/decide",
            "/v1/events",
            "/v1/recent",
            "/v1/traces",
        ];
        let mut known: Vec<&str> = paths.keys().map(String::as_str).collect();
        known.sort_unstable();
        assert_eq!(known, named);
        for (path, methods) in paths {
            let path = path.replace("{id}", "x");
            for method in methods.as_object().unwrap().keys() {
                // The store is not open: what is there says so, or wants a body.
                let status = ask(&method.to_uppercase(), &path).await.status().as_u16();
                assert!(status != 404 && status != 405, "{method} {path}: {status}");
            }
        }
    }

    /// An answer of decide has what the document says, and nothing else.
    #[test]
    fn the_fields_of_an_answer_are_those_of_the_document() {
        let document: Value = serde_json::from_str(super::OPENAPI).unwrap();
        let answer = &document["components"]["schemas"]["DecideAnswer"];
        let desk = Desk::new("", &[r#"{"name": "all", "scope": {}, "amount": "0.001", "hard_limit": true}"#]);
        let said = serde_json::to_value(desk.ask(r#""id": "1""#)).unwrap();
        for (field, value) in said.as_object().unwrap() {
            assert!(answer["properties"].get(field).is_some(), "{field}: {value}");
        }
        for field in answer["required"].as_array().unwrap() {
            assert!(said.get(field.as_str().unwrap()).is_some(), "{field}");
        }
    }
}
