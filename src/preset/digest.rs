//! Keyed and plain hashes, and how they are written.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Only where a platform knows nothing better.
    Sha1,
    /// What nearly all use.
    #[default]
    Sha256,
    /// Longer.
    Sha512,
}

impl Algorithm {
    /// The HMAC of `message`.
    pub fn mac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => mac::<Hmac<Sha1>>(key, message),
            Self::Sha256 => mac::<Hmac<Sha256>>(key, message),
            Self::Sha512 => mac::<Hmac<Sha512>>(key, message),
        }
    }

    /// The plain hash of `message`, in hexadecimal.
    pub fn hex(self, message: &[u8]) -> String {
        Encoding::Hex.write(&self.hash(message))
    }

    /// The plain hash of `message`.
    pub fn hash(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(message).to_vec(),
            Self::Sha256 => Sha256::digest(message).to_vec(),
            Self::Sha512 => Sha512::digest(message).to_vec(),
        }
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal, in either case.
    #[default]
    Hex,
    /// Base64 with its padding.
    Base64,
    /// Base64 as JSON Web Signatures have it.
    Base64Url,
}

impl Encoding {
    /// The bytes; `None` when the text is not written so.
    pub fn read(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => base16ct::mixed::decode_vec(text).ok(),
            Self::Base64 => BASE64_STANDARD.decode(text).ok(),
            Self::Base64Url => BASE64_URL_SAFE_NO_PAD.decode(text).ok(),
        }
    }

    /// The text.
    pub fn write(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => base16ct::lower::encode_string(bytes),
            Self::Base64 => BASE64_STANDARD.encode(bytes),
            Self::Base64Url => BASE64_URL_SAFE_NO_PAD.encode(bytes),
        }
    }
}

/// How a secret is written in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyText {
    /// The key is the text.
    #[default]
    Utf8,
    /// Base64.
    Base64,
    /// Hexadecimal.
    Hex,
    /// `whsec_` and base64, as Standard Webhooks has it.
    Whsec,
}

impl KeyText {
    /// How it is written, in words.
    pub const fn as_written(self) -> &'static str {
        match self {
            Self::Utf8 => "text",
            Self::Base64 => "base64",
            Self::Hex => "hexadecimal",
            Self::Whsec => "whsec_ and base64",
        }
    }

    /// The key; `None` when the secret is not written so.
    pub fn read(self, secret: &str) -> Option<Vec<u8>> {
        match self {
            Self::Utf8 => Some(secret.as_bytes().to_vec()),
            Self::Base64 => BASE64_STANDARD.decode(secret).ok(),
            Self::Hex => base16ct::mixed::decode_vec(secret).ok(),
            Self::Whsec => {
                BASE64_STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok()
            }
        }
    }
}
