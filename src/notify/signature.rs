//! The Standard Webhooks scheme: who receives a signal can tell that it is ours, and from when.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;

use crate::config::SigningKey;

/// The value of `webhook-signature`: one signature for each key, separated by spaces. A receiver
/// takes a post when any of them is right, so that keys can be changed on one side first.
///
/// `timestamp` is in seconds since the Unix epoch. Each signature is `v1,` and the base64 of the
/// HMAC-SHA256 of `{id}.{timestamp}.{body}`.
pub(super) fn signatures(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signature = |SigningKey(key): &SigningKey| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret())
            .expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    };
    keys.iter().map(signature).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that the Standard Webhooks project publishes.
    const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn key(bytes: &[u8]) -> SigningKey {
        SigningKey(bytes.to_vec().into())
    }

    #[test]
    fn a_signature_is_that_of_the_published_vector() {
        let published = key(&BASE64_STANDARD.decode(SECRET).unwrap());
        assert_eq!(signatures(&[published], ID, TIMESTAMP, BODY), SIGNATURE);
    }

    #[test]
    fn each_key_signs() {
        let keys = [key(b"the new one"), key(&BASE64_STANDARD.decode(SECRET).unwrap())];
        let both = signatures(&keys, ID, TIMESTAMP, BODY);
        let (new, old) = both.split_once(' ').expect("two signatures");
        assert_eq!(old, SIGNATURE);
        assert_eq!(new, signatures(&keys[..1], ID, TIMESTAMP, BODY));
    }
}
