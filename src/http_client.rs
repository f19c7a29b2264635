//! How every outgoing request is made: one builder, so that no call forgets a precaution.

use std::sync::Arc;

use reqwest::ClientBuilder;

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
