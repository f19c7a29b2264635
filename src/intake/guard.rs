//! What stands before every post: who asks, how often, and how much.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter};
use ipnet::IpNet;

use crate::config::Rate;

/// A body must be here after this: a phone on a bad line is slow, an attacker is slower.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// What one source may be posted in all.
pub struct SourceLimiter(DefaultDirectRateLimiter);

impl SourceLimiter {
    /// A limit of which nothing is spent.
    pub fn new(rate: Rate) -> Self {
        Self(RateLimiter::direct(quota(rate)))
    }

    /// Spends one.
    ///
    /// # Errors
    /// How long to wait before the next one.
    pub fn spend(&self) -> Result<(), Duration> {
        self.0.check().map_err(wait)
    }
}

/// What each address may post.
pub struct AddressLimiter(DefaultKeyedRateLimiter<IpAddr>);

impl AddressLimiter {
    /// A limit of which nobody has spent anything.
    pub fn new(rate: Rate) -> Self {
        Self(RateLimiter::keyed(quota(rate)))
    }

    /// Spends one of `address`'s.
    ///
    /// # Errors
    /// How long to wait before the next one.
    pub fn spend(&self, address: IpAddr) -> Result<(), Duration> {
        self.0.check_key(&network(address)).map_err(wait)
    }

    /// Forgets the addresses that have all of their allowance back, so that memory stays bounded.
    pub fn forget_idle(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }
}

fn wait(not_yet: NotUntil<<DefaultClock as governor::clock::Clock>::Instant>) -> Duration {
    not_yet.wait_time_from(DefaultClock::default().now())
}

fn quota(rate: Rate) -> Quota {
    Quota::per_second(rate.per_second).allow_burst(rate.burst)
}

/// What counts as one address: an IPv4 address, or the /64 that one IPv6 customer is given.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Who really asks. `X-Forwarded-For` is believed only as far as trusted proxies wrote it: from
/// the right, up to and including the first address that is none of theirs.
pub fn client_address(request: &HttpRequest, trusted: &[IpNet]) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip());
    let is_trusted = |address: IpAddr| {
        let address = address.to_canonical();
        trusted.iter().any(|range| range.contains(&address))
    };
    let forwarded = request.headers().get_all("X-Forwarded-For");
    let hops: Vec<_> =
        forwarded.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).collect();
    let mut client = peer.to_canonical();
    for hop in hops.iter().rev() {
        if !is_trusted(client) {
            break;
        }
        let Some(address) = hop_address(hop.trim()) else { break };
        client = address.to_canonical();
    }
    client
}

/// `203.0.113.9`, and also `203.0.113.9:51234` as some proxies write it.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let with_port = || hop.parse::<SocketAddr>().ok().map(|address| address.ip());
    hop.parse().ok().or_else(with_port)
}

/// Why a body was not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// 413
    TooLong,
    /// 408
    TooSlow,
    /// The sender went away, or spoke no HTTP.
    Broken,
}

/// Reads a body of at most `max` bytes.
///
/// # Errors
/// Why there is none.
pub async fn body(
    request: &HttpRequest,
    payload: &mut Payload,
    max: usize,
) -> Result<Bytes, Unread> {
    let announced = request.headers().get("Content-Length").and_then(|length| length.to_str().ok());
    let announced = announced.and_then(|length| length.parse::<u64>().ok()).unwrap_or(0);
    let max_u64 = u64::try_from(max).unwrap_or(u64::MAX);
    if announced > max_u64 {
        return Err(Unread::TooLong);
    }
    let capacity = usize::try_from(announced).unwrap_or(0);
    let read = async {
        let mut body = BytesMut::with_capacity(capacity);
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| Unread::Broken)?;
            if body.len() + chunk.len() > max {
                return Err(Unread::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(BODY_TIMEOUT, read).await.unwrap_or(Err(Unread::TooSlow))
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use actix_web::FromRequest;
    use actix_web::test::TestRequest;
    use futures_util::Stream;

    use super::*;

    fn client(peer: &str, forwarded: Option<&str>) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let peer = format!("{peer}:1234").parse().unwrap();
        let mut request = TestRequest::default().peer_addr(peer);
        if let Some(line) = forwarded {
            request = request.insert_header(("X-Forwarded-For", line));
        }
        client_address(&request.to_http_request(), &trusted).to_string()
    }

    /// With the clock paused, half a minute takes no time.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let mut stalled = actix_web::dev::Payload::Stream {
            payload: Box::pin(futures_util::stream::pending()) as Pin<Box<dyn Stream<Item = _>>>,
        };
        let request = TestRequest::default().to_http_request();
        let mut payload = Payload::from_request(&request, &mut stalled).await.unwrap();
        let before = tokio::time::Instant::now();
        assert_eq!(body(&request, &mut payload, 1000).await, Err(Unread::TooSlow));
        assert_eq!(before.elapsed(), BODY_TIMEOUT);
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(client("203.0.113.9", None), "203.0.113.9");
        assert_eq!(client("203.0.113.9", Some("198.51.100.1")), "203.0.113.9");
        assert_eq!(client("10.0.0.1", Some("198.51.100.1")), "198.51.100.1");
        assert_eq!(client("10.0.0.1", Some("6.6.6.6, 198.51.100.1")), "198.51.100.1");
        assert_eq!(client("10.0.0.1", Some("6.6.6.6, 198.51.100.1, 10.0.0.2")), "198.51.100.1");
        assert_eq!(client("10.0.0.1", Some("198.51.100.1:51234")), "198.51.100.1");
        assert_eq!(client("10.0.0.1", Some("nonsense")), "10.0.0.1");
    }

    #[test]
    fn limits_are_per_address_and_say_how_long_to_wait() {
        let rate = Rate { per_second: 1.try_into().unwrap(), burst: 2.try_into().unwrap() };
        let limiter = AddressLimiter::new(rate);
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        assert!(limiter.spend(one).is_ok() && limiter.spend(one).is_ok());
        let wait = limiter.spend(one).unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        assert!(limiter.spend(other).is_ok());
        let neighbours = ["2001:db8::1", "2001:db8::2", "2001:db8::3"].map(|a| a.parse().unwrap());
        let spent: Vec<_> = neighbours.iter().map(|a| limiter.spend(*a).is_ok()).collect();
        assert_eq!(spent, [true, true, false], "one /64 is one customer");
    }
}
