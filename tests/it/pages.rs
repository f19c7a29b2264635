//! The pages of `docs/presets`: each preset has one, and what it says to paste is a configuration.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use leadgate::config::{self, MapEnvironment};
use leadgate::preset::{Preset, built_in_names};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/presets")
}

fn page(name: &str) -> String {
    let file = folder().join(format!("{name}.md"));
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// What is fenced as TOML.
fn toml_blocks(page: &str) -> Vec<&str> {
    let parts = page.split("```toml\n").skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default()).collect()
}

/// The environment variables that a text of TOML asks for, each with a value.
fn environment(block: &str) -> MapEnvironment {
    let names = block.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next());
    names.map(|name| (name.to_owned(), "whsec_ZGV2ZWxvcG1lbnQtc2VjcmV0".to_owned())).collect()
}

#[test]
fn every_preset_has_a_page_and_a_row_of_the_index() {
    let presets: BTreeSet<String> = built_in_names().into_iter().map(str::to_owned).collect();
    let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name());
    let files = files.map(|file| file.to_str().unwrap().trim_end_matches(".md").to_owned());
    let pages: BTreeSet<String> = files.filter(|name| name != "README").collect();
    assert_eq!(pages, presets);
    let index = page("README");
    let rows = index.lines().filter_map(|line| line.strip_prefix("| [`")?.split_once("`]("));
    let rows: Vec<(&str, &str)> = rows.collect();
    for (name, rest) in &rows {
        assert!(rest.starts_with(&format!("{name}.md)")), "{name}: {rest}");
    }
    let named: BTreeSet<String> = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!((named, rows.len()), (presets, built_in_names().len()));
}

#[test]
fn what_a_page_says_to_paste_is_a_configuration_of_that_preset() {
    let head = "[server]\npublic_url = \"https://leads.example.vn\"\n\
                [destinations.main]\nbase_url = \"https://api.caresoft.vn\"\ndomain = \"khachhang01\"\n\
                token = \"t\"\nlead = { service_id = 1244 }\n";
    let names = built_in_names();
    for name in &names {
        let page = page(name);
        let blocks = toml_blocks(&page);
        assert!(!blocks.is_empty(), "{name}: nothing to paste");
        let known = Preset::load(name, []).unwrap().secrets;
        for block in blocks {
            let text = format!("{head}{block}");
            let parsed = config::parse(&text, "page.toml", &environment(block), &names);
            let parsed = parsed.unwrap_or_else(|faults| panic!("{name}:\n{block}\n{faults}"));
            // A form on a public page keeps no secret, and its page says so.
            let is_open = *name == "web-form" && !block.contains("secrets");
            assert_eq!(parsed.warnings.is_empty(), !is_open, "{name}: {:?}", parsed.warnings);
            assert!(!parsed.config.sources.is_empty(), "{name}: {block}");
            for source in parsed.config.sources.values() {
                assert_eq!(source.preset, *name);
                for secret in source.secrets.keys() {
                    assert!(known.contains_key(secret), "{name} asks for no {secret}");
                }
            }
        }
    }
}

/// Each page says how to set the platform up, what comes, what is answered and how to try it.
#[test]
fn every_page_has_its_parts() {
    for name in built_in_names() {
        let page = page(name);
        for part in ["# ", "## Set it up", "## What arrives", "## What it is answered", "## Limits"]
        {
            assert!(page.lines().any(|line| line.starts_with(part)), "{name}: {part}");
        }
        for command in [format!("leadgate presets try {name} "), "leadgate send ".to_owned()] {
            assert!(page.contains(&command), "{name}: {command}");
        }
        let preset = Preset::load(name, []).unwrap();
        for secret in preset.verify.secrets() {
            assert!(page.contains(&format!("`{secret}`")), "{name}: {secret}");
        }
    }
}
