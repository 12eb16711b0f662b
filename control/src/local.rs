//! Without keys, only this machine may ask: in come the `Host` and `Origin` of a request, out comes why it is refused. Pure.
//!
//! Servers listen on loopback only then, but a web page elsewhere can point its own name at loopback; then the `Host` header
//! is that name. Or it can send a form here, whose answer it may not read but whose request would run; then the `Origin` header
//! is that page. Both are refused.

use std::net::IpAddr;

/// Why a request with these headers is refused while `auth.mode = none`; `None`: it is not.
#[must_use]
pub fn refusal(host: Option<&str>, origin: Option<&str>) -> Option<String> {
    let what = match (host, origin) {
        (Some(host), _) if !is_local(host) => format!("requests for host '{host}'"),
        (_, Some(origin)) if !is_local_page(origin) => format!("requests of pages of '{origin}'"),
        _ => return None,
    };
    Some(format!("{what} are refused while auth.mode = none; use localhost or 127.0.0.1"))
}

/// A page that this machine serves; `null` is one that hides where it is from.
fn is_local_page(origin: &str) -> bool {
    origin.split_once("://").is_some_and(|(scheme, host)| matches!(scheme, "http" | "https") && is_local(host))
}

/// `localhost`, or an address of loopback, with or without a port.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or(host),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{is_local, is_local_page};

    #[test]
    fn only_loopback_names_are_local() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.9.9.9", "[::1]:8080", "[::1]"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["", "example.com", "localhost.example.com", "127.0.0.1.example.com:80", "10.0.0.1", "[::2]"] {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn only_pages_of_this_machine_are_local() {
        for origin in ["http://localhost:8080", "https://127.0.0.1", "http://[::1]:3000"] {
            assert!(is_local_page(origin), "{origin}");
        }
        for origin in
            ["null", "", "localhost", "https://example.com", "file://localhost", "http://localhost.example.com"]
        {
            assert!(!is_local_page(origin), "{origin}");
        }
    }
}
