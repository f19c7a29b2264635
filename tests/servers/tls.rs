//! Certificates for one test: an authority, and a server that it vouches for.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the certificates are, as PEM.
pub struct Certificates {
    pub authority: PathBuf,
    pub server: PathBuf,
    pub server_key: PathBuf,
}

/// Written out, for what a system's openssl.cnf would add is not known.
const EXTENSIONS: &str = "
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
";

impl Certificates {
    /// Makes them in `folder`, for 127.0.0.1 and localhost.
    pub fn make(folder: &Path) -> Self {
        std::fs::write(folder.join("tls.cnf"), EXTENSIONS).expect("a file");
        certificate(folder, "authority", &[]);
        certificate(folder, "server", &["-CA", "authority.pem", "-CAkey", "authority.key"]);
        Self {
            authority: folder.join("authority.pem"),
            server: folder.join("server.pem"),
            server_key: folder.join("server.key"),
        }
    }
}

/// `NAME.pem` and `NAME.key`, with the extensions of the section `NAME`; signed by itself when
/// `signer` names nobody.
fn certificate(folder: &Path, name: &str, signer: &[&str]) {
    let made = Command::new("openssl")
        .current_dir(folder)
        .args(["req", "-x509", "-config", "tls.cnf", "-extensions", name])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-subj", &format!("/CN=Leadgate test {name}"), "-days", "2"])
        .args(["-out", &format!("{name}.pem"), "-keyout", &format!("{name}.key")])
        .args(signer)
        .output()
        .expect("openssl 3; scripts/test installs it");
    assert!(made.status.success(), "{name}: {}", String::from_utf8_lossy(&made.stderr));
}
