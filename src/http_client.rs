//! How every outgoing request is made: one builder, so that no call forgets a precaution.

use std::sync::Arc;
use std::time::Duration;

use reqwest::ClientBuilder;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// A `Retry-After` beyond this is taken for a mistake.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A client that sends each request once (no retries, no redirects), uses no proxy of the
/// environment (persons' data go where the configuration says and nowhere else), and trusts the
/// roots that are compiled in, so that it needs no CA files.
///
/// # Errors
/// TLS that cannot be set up.
pub fn builder() -> Result<ClientBuilder, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("leadgate/", env!("CARGO_PKG_VERSION")))
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .tcp_nodelay(true))
}

/// `Retry-After` in seconds or as a date; a date is compared with the answer's own `Date`, so that
/// a clock that is wrong on either side does no harm.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp());
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let now = date(headers.get(DATE)?.to_str().ok()?)?;
            u64::try_from(date(text)?.as_second() - now.as_second()).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn retry_after_in_both_forms() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
            headers.insert(DATE, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
            retry_after(&headers).map(|length| length.as_secs())
        };
        let cases = [
            ("30", Some(30)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0)),
            ("99999999999", Some(86_400)),
            ("-1", None),
            ("soon", None),
        ];
        for (value, seconds) in cases {
            assert_eq!(read(value), seconds, "{value}");
        }
    }
}
