//! The image and systemd's unit, as far as they can be tried without an engine and without a systemd that runs.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::checkout::{at, file, files_below, root};
use crate::k8s::{containers, gateways, list, rendered};
use crate::served::told;

/// What goes into the image besides the binary: libraries and certificates.
const AROUND_BYTES_MAX: u64 = 10 << 20;

fn image() -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(at("packaging/image-root"));
    command.arg(env!("CARGO_BIN_EXE_leadgate")).arg(folder.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    folder
}

/// The files, or the beginnings of their names, that `src` embeds and that are not below it.
fn embedded_from_outside() -> Vec<PathBuf> {
    let mut embedded = Vec::new();
    for source in files_below(&at("src")) {
        let Ok(text) = std::fs::read_to_string(&source) else { continue };
        for line in text.lines().filter(|line| line.contains("include_")) {
            let path = line.split('"').nth(1).unwrap_or_default();
            // A macro's own path is the beginning of one, and goes up as far.
            let mut folder = source.parent().unwrap();
            let mut below = path;
            while let Some(rest) = below.strip_prefix("../") {
                (folder, below) = (folder.parent().unwrap(), rest);
            }
            if below != path {
                embedded.push(folder.strip_prefix(root()).unwrap().join(below));
            }
        }
    }
    embedded
}

/// The binary runs on the libraries of the image alone, and those are small.
#[test]
fn the_image_holds_what_the_binary_needs_and_little_else() {
    let image = image();
    let files = files_below(image.path());
    let binary = image.path().join("usr/local/bin/leadgate");
    let around: u64 = files
        .iter()
        .filter(|file| **file != binary)
        .map(|file| file.metadata().unwrap().len())
        .sum();
    println!("{around} bytes around the binary");
    assert!(around < AROUND_BYTES_MAX, "{files:?}");
    let is_loader =
        |file: &&PathBuf| file.file_name().unwrap().to_str().unwrap().starts_with("ld-linux");
    let loader = files.iter().find(is_loader).expect("a loader");
    let folders: Vec<_> = files.iter().filter_map(|file| file.parent()?.to_str()).collect();
    // The loader of the image, which looks nowhere else first.
    let loaded = |arguments: &[&str]| {
        let mut command = Command::new(loader);
        command.env_clear().args(["--inhibit-cache", "--library-path", &folders.join(":")]);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        told(&output)
    };
    let binary = binary.to_str().unwrap();
    let libraries = loaded(&["--list", binary]);
    for line in libraries.lines().filter(|line| line.contains("=>")) {
        assert!(line.contains(image.path().to_str().unwrap()), "not in the image: {line}");
    }
    assert!(loaded(&[binary, "--version"]).starts_with("leadgate "));
    let roots =
        std::fs::read_to_string(image.path().join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    assert!(roots.contains("BEGIN CERTIFICATE"));
}

#[test]
fn the_image_the_manifests_and_the_unit_agree() {
    let recipe = file("Dockerfile");
    let last = recipe.rsplit("FROM ").next().unwrap();
    assert!(last.starts_with("scratch"));
    for overlay in crate::k8s::OVERLAYS {
        for gateway in gateways(&rendered(overlay)) {
            let security = &gateway["spec"]["template"]["spec"]["securityContext"];
            assert!(
                last.contains(&format!(
                    "USER {}:{}\n",
                    security["runAsUser"], security["runAsGroup"]
                ))
            );
            for container in containers(gateway) {
                assert!(container["command"].is_null(), "the image knows its command");
                for port in list(&container["ports"]) {
                    let exposed = last.lines().find(|line| line.starts_with("EXPOSE")).unwrap();
                    assert!(exposed.contains(&port["containerPort"].to_string()), "{exposed}");
                }
            }
        }
    }
    let passwd = std::fs::read_to_string(image().path().join("etc/passwd")).unwrap();
    assert!(passwd.contains(":65532:65532:"));
    assert!(last.contains(r#"ENTRYPOINT ["/usr/local/bin/leadgate"]"#));
    assert!(recipe.contains("--locked") && recipe.contains("SOURCE_DATE_EPOCH"));
    // What is sent to be built is there, and is all that the package names and the binary embeds.
    let ignored = file(".dockerignore");
    let sent: Vec<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for kept in &sent {
        assert!(at(kept).exists(), "{kept}");
    }
    let embedded = embedded_from_outside();
    assert!(embedded.iter().any(|path| path.starts_with("docs")), "{embedded:?}");
    for path in embedded {
        assert!(sent.iter().any(|kept| path.starts_with(kept)), "{}", path.display());
    }
    for path in file("Cargo.toml").lines().filter_map(|line| line.strip_prefix("path = \"")) {
        let top = path.split('/').next().unwrap();
        assert!(sent.contains(&top), "{path}");
    }
}

#[test]
fn the_unit_is_one_that_systemd_takes_and_gives_it_the_time_it_needs() {
    let unit = file("packaging/leadgate.service");
    let folder = TempDir::new().unwrap();
    let here = folder.path().join("leadgate.service");
    // It looks whether the program is there.
    let binary = env!("CARGO_BIN_EXE_leadgate");
    std::fs::write(&here, unit.replace("/usr/local/bin/leadgate", binary)).unwrap();
    let output = Command::new("systemd-analyze").arg("verify").arg(&here).output().unwrap();
    assert!(
        output.status.success() && !told(&output).contains("leadgate.service:"),
        "{}",
        told(&output)
    );
    let mut secure = Command::new("systemd-analyze");
    secure.args(["security", "--offline=true", "--threshold=20"]).arg(&here); // of 100, the more the worse
    let output = secure.output().unwrap();
    assert!(output.status.success(), "{}", told(&output));

    let value = |key: &str| {
        let mut lines = unit.lines().filter_map(|line| line.strip_prefix(&format!("{key}=")));
        lines.next().unwrap_or_else(|| panic!("no {key}"))
    };
    let server = crate::gateway::parsed(SMALL).server;
    let until_killed = humantime::parse_duration(value("TimeoutStopSec")).unwrap();
    assert!(until_killed > server.drain_delay + server.shutdown_grace);
    assert_eq!(value("ExecReload"), "/bin/kill -HUP $MAINPID");
    assert_eq!(
        (value("Restart"), value("DynamicUser"), value("StateDirectory")),
        ("always", "yes", "leadgate")
    );
}

/// A configuration that leaves everything out which may be.
const SMALL: &str = "[destinations.main]\nbase_url = \"https://api.caresoft.vn\"\ndomain = \"khachhang01\"\ntoken = \"t\"\n\
                     lead = { service_id = 1244 }\n\
                     [sources.website]\npreset = \"web-form\"\ndestination = \"main\"\n";
