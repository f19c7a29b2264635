//! The book holds together: its summary, its links, and what it says to paste.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use tempfile::TempDir;
use toml::{Table, Value};

use super::{Page, page, pages, pages_of_the_book};
use crate::checkout::at;
use crate::served::{leadgate, told};

#[test]
fn the_summary_has_every_page_once() {
    let book: Table = page("docs/book.toml").text.parse().unwrap();
    assert_eq!(book["book"]["src"].as_str(), Some("."));
    let summary = page("docs/SUMMARY.md");
    let mut listed: Vec<String> = summary.links.iter().map(|link| format!("docs/{link}")).collect();
    listed.sort();
    assert_eq!(listed, pages_of_the_book());
}

#[test]
fn the_readme_counts_the_presets() {
    let count = format!("**{} presets**", leadgate::preset::built_in_names().len());
    assert!(page("README.md").text.contains(&count), "{count}");
}

/// As GitHub makes the anchor of a heading, and mdBook.
pub fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase()
}

/// `docs/presets` and `../web-page.md` are `docs/web-page.md`.
fn joined(folder: &Path, link: &str) -> PathBuf {
    let mut joined = folder.to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => assert!(joined.pop(), "{link} leaves the repository"),
            Component::CurDir => {}
            part => joined.push(part),
        }
    }
    joined
}

#[test]
fn every_link_leads_somewhere() {
    let others = ["docs/SUMMARY.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];
    let mut followed = 0;
    for Page { path, links, headings, .. } in pages().into_iter().chain(others.map(page)) {
        for link in links.iter().filter(|link| !link.contains("://")) {
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => PathBuf::from(&path),
                file => joined(Path::new(&path).parent().unwrap(), file),
            };
            let target = target.to_str().unwrap();
            assert!(at(target).exists(), "{path}: {link}");
            // The book is read without the repository, too.
            assert!(!path.starts_with("docs/") || target.starts_with("docs/"), "{path}: {link}");
            if !fragment.is_empty() {
                let there = if file.is_empty() { headings.clone() } else { page(target).headings };
                assert!(there.iter().any(|heading| anchor(heading) == fragment), "{path}: {link}");
            }
            followed += 1;
        }
    }
    assert!(followed > 100, "{followed} links are few");
}

/// Whoever reads of a file of the repository finds it.
#[test]
fn every_file_that_is_named_is_there() {
    let folders = ["src/", "tests/", "fuzz/", "k8s/", "packaging/", "scripts/", "docs/"];
    let mut found = 0;
    for Page { path, code, .. } in pages() {
        let files =
            code.iter().filter(|code| folders.iter().any(|folder| code.starts_with(folder)));
        for file in files.filter(|file| !file.contains([' ', '*'])) {
            assert!(at(file).exists(), "{path}: {file}");
            found += 1;
        }
    }
    assert!(found > 10, "{found} files are few");
}

/// `piece` over `base`, key by key.
fn put(base: &mut Table, piece: Table) {
    for (key, value) in piece {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(piece)) => put(base, piece),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// The names of the environment variables that a piece of configuration asks for.
fn variables(text: &str) -> BTreeSet<&str> {
    text.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

const SMALLEST: &str = r#"
[destinations.main]
domain = "khachhang01"
token = "t"
lead = { service_id = 1244 }
[sources.website]
preset = "web-form"
destination = "main"
"#;

/// The presets' pages have a test of their own, `pages.rs`; the reference is made of the example.
#[test]
fn what_is_to_be_pasted_passes_check() {
    let (folder, mut checked) = (TempDir::new().unwrap(), BTreeMap::<String, usize>::new());
    for Page { path, blocks, .. } in pages() {
        if path.starts_with("docs/presets/") || path == "docs/configuration.md" {
            continue;
        }
        for (_, block) in blocks.iter().filter(|(language, _)| language == "toml") {
            let mut whole: Table = SMALLEST.parse().unwrap();
            put(&mut whole, block.parse().unwrap_or_else(|error| panic!("{path}: {error}")));
            std::fs::write(folder.path().join("pasted.toml"), whole.to_string()).unwrap();
            let mut check = leadgate(folder.path());
            check.args(["check", "--config", "pasted.toml"]);
            for name in variables(block) {
                check.env(name, "whsec_ZGV2ZWxvcG1lbnQtc2VjcmV0LW9mLWEtdGVzdA==");
            }
            let output = check.output().unwrap();
            assert!(output.status.success(), "{path}:\n{block}\n{}", told(&output));
            *checked.entry(path.clone()).or_default() += 1;
        }
    }
    assert!(checked.len() >= 4, "{checked:?}");
}
