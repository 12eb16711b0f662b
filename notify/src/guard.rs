//! Which addresses a URL that somebody configured may lead to. The addresses that are checked are those that are
//! connected to: the resolver below is the client's own, so that a name cannot be one thing when it is checked and
//! another when it is used. Addresses written as numbers are checked in the URL.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use url::{Host, Url};

/// An address that must not be reached.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{host} leads to {address}, {what}; notify.allow_private_addresses allows it")]
pub struct Forbidden {
    host: String,
    address: IpAddr,
    what: &'static str,
}

/// What an address is, if it is not one of the public internet.
#[must_use]
pub fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => not_public_v4(address),
        IpAddr::V6(address) => not_public_v6(address),
    }
}

fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    let what = match address.octets() {
        [169, 254, 169, 254] | [168, 63, 129, 16] | [100, 100, 100, 200] | [192, 0, 0, 192] => {
            "a cloud's metadata service"
        }
        [127, ..] => "this machine",
        [0, ..] => "no address",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private network",
        [100, 64..=127, ..] => "a provider's private network",
        [169, 254, ..] => "a link-local address",
        [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18..=19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => "a reserved address",
        [224..=239, ..] => "a multicast address",
        _ => return None,
    };
    Some(what)
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("no address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("this machine"),
        // An IPv4 address in another dress: mapped, compatible, translated (NAT64) or tunnelled (6to4).
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            not_public_v4(embedded(high, low))
        }
        [0x2002, high, low, ..] => not_public_v4(embedded(high, low)),
        [0x64, 0xff9b, 1, ..] | [0xfc00..=0xfdff, ..] => Some("a private network"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        // All that is routed is 2000::/3; of it 2001::/23 (tunnels among it) and the documentation's are reserved.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("a reserved address"),
        [0x2000..=0x3fff, ..] => None,
        _ => Some("a reserved address"),
    }
}

/// Checks the address of a URL that has one in place of a name.
///
/// # Errors
/// When it is not public and private ones are not allowed.
pub fn check_literal(url: &Url, allow_private: bool) -> Result<(), Forbidden> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        _ => return Ok(()),
    };
    check("the URL", address, allow_private)
}

fn check(host: &str, address: IpAddr, allow_private: bool) -> Result<(), Forbidden> {
    match not_public(address) {
        Some(what) if !allow_private => Err(Forbidden { host: host.to_owned(), address, what }),
        _ => Ok(()),
    }
}

/// Resolves names with the system's resolver and refuses those that lead to an address that is not public. One such
/// address among public ones is enough.
#[derive(Clone, Copy, Debug)]
pub struct GuardedResolver {
    pub allow_private: bool,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            for address in &addresses {
                check(name.as_str(), address.ip(), allow_private)?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::{check_literal, not_public};

    #[test]
    fn what_is_not_public_is_known() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "169.254.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "fd00:ec2::254",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "fec0::1",
            "100::1",
        ] {
            assert!(not_public(address.parse().unwrap()).is_some(), "{address}");
        }
        for address in
            ["8.8.8.8", "172.32.0.1", "100.128.0.1", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::"]
        {
            assert_eq!(not_public(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn however_a_number_is_written() {
        for url in [
            "http://127.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:7f00:1]/",
        ] {
            assert!(check_literal(&Url::parse(url).unwrap(), false).is_err(), "{url}");
            assert!(check_literal(&Url::parse(url).unwrap(), true).is_ok(), "{url}");
        }
        let error = check_literal(&Url::parse("http://169.254.169.254/latest").unwrap(), false).unwrap_err();
        let expected =
            "the URL leads to 169.254.169.254, a cloud's metadata service; notify.allow_private_addresses allows it";
        assert_eq!(error.to_string(), expected);
    }
}
