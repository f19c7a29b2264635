//! What is depended on, held against `deny.toml` wherever the tests run: licences, sources and what is kept out.
//! Advisories need a database that is fetched: `cargo deny check`.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use spdx::{Expression, Licensee};

use crate::checkout::{file, root};

/// A package that is built, here or for the tests.
struct Package {
    name: String,
    license: Option<String>,
    /// Where it comes from; none is this repository.
    source: Option<String>,
    /// What it asks for, and in which versions.
    wants: Vec<(String, String, Option<String>)>,
}

/// Every package that is in the graph of this machine's kind.
fn packages() -> Vec<Package> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--locked", "--offline", "--format-version", "1"]);
    command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]).current_dir(root());
    let output = command.output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let built: BTreeSet<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let all = metadata["packages"].as_array().unwrap();
    let all = all.iter().filter(|package| built.contains(package["id"].as_str().unwrap()));
    let packages = all.map(|package| Package {
        name: text(&package["name"]).unwrap(),
        license: text(&package["license"]),
        source: text(&package["source"]),
        wants: package["dependencies"].as_array().unwrap().iter().map(want).collect(),
    });
    packages.collect()
}

fn want(dependency: &Value) -> (String, String, Option<String>) {
    let text = |name: &str| dependency[name].as_str().map(str::to_owned);
    (text("name").unwrap(), text("req").unwrap(), text("path"))
}

fn rules() -> toml::Table {
    file("deny.toml").parse().expect("TOML")
}

fn texts(list: &toml::Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// What is wrong with the licence of a package, where something is.
fn fault_of_license(package: &Package, allowed: &[Licensee]) -> Option<String> {
    let name = &package.name;
    let Some(license) = &package.license else { return Some(format!("{name} names no licence")) };
    let expression = match Expression::parse_mode(license, spdx::ParseMode::LAX) {
        Ok(expression) => expression,
        Err(error) => return Some(format!("{name}: {license}: {error}")),
    };
    let is_allowed =
        expression.evaluate(|wanted| allowed.iter().any(|licensee| licensee.satisfies(wanted)));
    (!is_allowed).then(|| format!("{name}: {license} is not allowed"))
}

#[test]
fn every_licence_is_one_that_is_allowed() {
    let rules = rules();
    let allowed = texts(&rules["licenses"]["allow"]);
    let licensees: Vec<_> = allowed.iter().map(|text| Licensee::parse(text).unwrap()).collect();
    let packages = packages();
    assert!(packages.len() > 200, "{}", packages.len());
    let faults: Vec<_> =
        packages.iter().filter_map(|package| fault_of_license(package, &licensees)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    // A list that allows more than is used hides what comes next.
    for (place, unused) in allowed.iter().enumerate() {
        let mut others = licensees.clone();
        others.remove(place);
        let mut needed = packages.iter().filter_map(|package| fault_of_license(package, &others));
        assert!(needed.next().is_some(), "{unused} is allowed, and no package needs it");
    }
}

#[test]
fn everything_comes_from_the_registry_and_nothing_is_in_it_that_is_kept_out() {
    let rules = rules();
    let banned: Vec<_> = rules["bans"]["deny"].as_array().unwrap().iter().collect();
    let banned: Vec<_> = banned.iter().map(|one| one["crate"].as_str().unwrap()).collect();
    assert!(banned.contains(&"openssl-sys"));
    for package in packages() {
        let name = &package.name;
        assert!(!banned.contains(&name.as_str()), "{name} is kept out");
        let Some(source) = &package.source else {
            assert_eq!(name, "leadgate", "the only package of this repository");
            for (wanted, version, path) in package.wants {
                assert!(version != "*" || path.is_some(), "{wanted} in any version");
            }
            continue;
        };
        assert!(source.starts_with("registry+") && source.contains("crates"), "{name}: {source}");
    }
}
