//! The pages of `docs/presets`: each preset has one, what it says to paste is a configuration, and the page in Vietnamese
//! says the same.

use std::collections::BTreeSet;
use std::fs;

use leadgate::config::{self, MapEnvironment};
use leadgate::preset::{Preset, built_in_names};

use crate::checkout;
use crate::docs::book::anchor;
use crate::docs::{self, Page};

const ENGLISH: &str = "docs/presets";
const VIETNAMESE: &str = "docs/presets/vi";

fn page(folder: &str, name: &str) -> Page {
    docs::page(&format!("{folder}/{name}.md"))
}

/// The names of the pages in a folder.
fn pages(folder: &str) -> BTreeSet<String> {
    let files = fs::read_dir(checkout::at(folder)).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    files.filter_map(|file| Some(file.strip_suffix(".md")?.to_owned())).collect()
}

/// What is fenced as TOML.
fn toml_blocks(page: &Page) -> Vec<&str> {
    let blocks = page.blocks.iter().filter(|(language, _)| language == "toml");
    blocks.map(|(_, block)| block.as_str()).collect()
}

/// The environment variables that a text of TOML asks for, each with a value.
fn environment(block: &str) -> MapEnvironment {
    let names = block.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next());
    names.map(|name| (name.to_owned(), "whsec_ZGV2ZWxvcG1lbnQtc2VjcmV0".to_owned())).collect()
}

#[test]
fn every_preset_has_a_page_and_a_row_of_the_index() {
    let presets: BTreeSet<String> = built_in_names().into_iter().map(str::to_owned).collect();
    for folder in [ENGLISH, VIETNAMESE] {
        let mut pages = pages(folder);
        assert!(pages.remove("README"), "{folder} has no index");
        assert_eq!(pages, presets, "{folder}");
        let index = page(folder, "README").text;
        let rows = index.lines().filter_map(|line| line.strip_prefix("| [`")?.split_once("`]("));
        let rows: Vec<(&str, &str)> = rows.collect();
        for (name, rest) in &rows {
            assert!(rest.starts_with(&format!("{name}.md)")), "{folder}: {name}: {rest}");
        }
        let named: BTreeSet<String> = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!((&named, rows.len()), (&presets, presets.len()), "{folder}");
    }
}

#[test]
fn what_a_page_says_to_paste_is_a_configuration_of_that_preset() {
    let head = "[server]\npublic_url = \"https://leads.example.vn\"\n\
                [destinations.main]\nbase_url = \"https://api.caresoft.vn\"\ndomain = \"khachhang01\"\n\
                token = \"t\"\nlead = { service_id = 1244 }\n";
    let names = built_in_names();
    for name in &names {
        let page = page(ENGLISH, name);
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
    let english = ["Set it up", "What arrives", "What it is answered", "Limits", "Try it"];
    let vietnamese = ["Thiết lập", "Dữ liệu nhận được", "Phản hồi", "Giới hạn", "Chạy thử"];
    for name in built_in_names() {
        for (folder, parts) in [(ENGLISH, english), (VIETNAMESE, vietnamese)] {
            let headings = page(folder, name).headings;
            for part in parts {
                assert!(headings.iter().any(|heading| heading == part), "{folder}/{name}: {part}");
            }
        }
        let page = page(ENGLISH, name).text;
        for command in [format!("leadgate presets try {name} "), "leadgate send ".to_owned()] {
            assert!(page.contains(&command), "{name}: {command}");
        }
        let preset = Preset::load(name, []).unwrap();
        for secret in preset.verify.secrets() {
            assert!(page.contains(&format!("`{secret}`")), "{name}: {secret}");
        }
    }
}

/// What a page is built of: the marks that its headings, items and rows begin with, in their order.
fn shape(page: &Page) -> Vec<&str> {
    let marks = page.text.lines().filter_map(|line| line.split(' ').next());
    let is_number =
        |mark: &str| mark.strip_suffix('.').is_some_and(|number| number.parse::<usize>().is_ok());
    marks.filter(|mark| ["#", "##", "-", "|"].contains(mark) || is_number(mark)).collect()
}

/// What is said in figures, with that of the code.
fn numbers(page: &Page) -> Vec<&str> {
    let mut numbers: Vec<&str> = page.text.split(|c: char| !c.is_ascii_digit()).collect();
    numbers.retain(|number| !number.is_empty());
    numbers.sort_unstable();
    numbers
}

/// Where a page's links lead: to which page, and to which of its headings, counted.
fn places(folder: &str, page: &Page) -> Vec<(String, Option<usize>)> {
    let places = page.links.iter().map(|link| {
        let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
        if fragment.is_empty() {
            return (file.to_owned(), None);
        }
        let headings = docs::page(&format!("{folder}/{file}")).headings;
        let heading = headings.iter().position(|heading| anchor(heading) == fragment);
        assert!(heading.is_some(), "{folder}: {link}");
        (file.to_owned(), heading)
    });
    let mut places: Vec<_> = places.collect();
    places.sort();
    places
}

/// A line of text may name things in another order.
fn code(page: &Page) -> Vec<&str> {
    let mut code: Vec<&str> = page.code.iter().map(String::as_str).collect();
    code.sort_unstable();
    code
}

/// A fact that is changed on one page alone is a wrong one on the other.
#[test]
fn the_page_in_vietnamese_says_the_same() {
    let [english, vietnamese] = [ENGLISH, VIETNAMESE].map(pages);
    assert_eq!(english, vietnamese);
    for name in english {
        let [english, vietnamese] = [ENGLISH, VIETNAMESE].map(|folder| page(folder, &name));
        assert_eq!(shape(&english), shape(&vietnamese), "{name}: headings, items, rows");
        assert_eq!(english.blocks, vietnamese.blocks, "{name}: what is to be pasted");
        assert_eq!(code(&english), code(&vietnamese), "{name}: what is set as code");
        assert_eq!(numbers(&english), numbers(&vietnamese), "{name}: figures");
        let bold = |page: &Page| page.text.matches("**").count();
        assert_eq!(bold(&english), bold(&vietnamese), "{name}: what is stressed");
        let [english, vietnamese] = [(ENGLISH, english), (VIETNAMESE, vietnamese)]
            .map(|(folder, page)| places(folder, &page));
        assert_eq!(english, vietnamese, "{name}: links");
    }
}
