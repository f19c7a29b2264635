//! The book under `docs/`, the README and the page on security against the program: what they name is there, and what is there is named.

pub mod book;
mod generated;
mod named;
mod routes;
mod told;

use std::path::PathBuf;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::checkout::{at, file, files_below, root};

/// A page as a reader meets it.
#[derive(Debug, Default)]
pub struct Page {
    /// Where it is, from the repository's root: `docs/presets/wix.md`.
    path: String,
    pub text: String,
    /// Where its links and pictures lead.
    pub links: Vec<String>,
    pub headings: Vec<String>,
    /// What is set as code in a line of text.
    pub code: Vec<String>,
    /// What is fenced: as which language, and its text.
    pub blocks: Vec<(String, String)>,
}

pub fn page(path: &str) -> Page {
    let text = file(path);
    let mut page = Page { path: path.to_owned(), ..Page::default() };
    let mut heading = None;
    for event in Parser::new_ext(&text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.into_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => page.headings.extend(heading.take()),
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match kind {
                    CodeBlockKind::Fenced(language) => language.into_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                page.blocks.push((language, String::new()));
                heading = None;
            }
            Event::Code(code) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&code);
                }
                page.code.push(code.into_string());
            }
            Event::Text(text) => match (&mut heading, page.blocks.last_mut()) {
                (Some(heading), _) => heading.push_str(&text),
                (None, Some((_, block))) => block.push_str(&text),
                (None, None) => {}
            },
            // What follows is no code: a block of its own takes it, and is of no language.
            Event::End(TagEnd::CodeBlock) => page.blocks.push(("prose".to_owned(), String::new())),
            _ => {}
        }
    }
    page.blocks.retain(|(language, _)| language != "prose");
    page.text = text;
    page
}

/// The paths of all pages of the book, its summary not among them.
fn pages_of_the_book() -> Vec<String> {
    let pages = files_below(&at("docs")).into_iter();
    let pages = pages.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let named = |path: PathBuf| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    let mut found: Vec<_> = pages.map(named).collect();
    found.retain(|path| path != "docs/SUMMARY.md");
    found.sort();
    found
}

/// The book, and the pages that stand beside it.
fn pages() -> Vec<Page> {
    let paths = pages_of_the_book();
    paths.iter().map(String::as_str).chain(["README.md", "SECURITY.md"]).map(page).collect()
}

/// The first cell of each row of a page's tables whose first cell is code, and the other cells.
fn rows(page: &Page) -> Vec<(String, Vec<String>)> {
    let rows = page.text.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix('|'));
    let rows = rows.filter_map(|row| row.split_once("` |"));
    let cells = |rest: &str| rest.split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.map(|(first, rest)| (first.to_owned(), cells(rest))).collect()
}
