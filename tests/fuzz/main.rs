//! The fuzz targets as ordinary tests: inputs made of the fixtures, for some seconds each.
//!
//! `LEADGATE_FUZZ_SECONDS` says for how long, `LEADGATE_SEED` which inputs: the same seed makes the
//! same inputs, in the same order. `fuzz/` runs the same targets with a fuzzer that learns.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod mutation;
mod targets;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use mutation::Chance;

/// How long each target is tried, unless the environment says otherwise.
const LASTS_S: u64 = 5;

/// The seed of every run that is given none: a change is never blamed for another run's inputs.
const SEED: u64 = 2018;

/// On the slowest of machines; fewer mean that nothing was tried.
const INPUTS_MIN: u64 = 500;

/// A fixture as an input may have this many bytes; the longest has fewer.
const FIXTURE_BYTES_MAX: usize = 16 * 1024;

/// Tells how to have an input again, when a target has panicked over it.
struct Trial {
    target: &'static str,
    seed: u64,
    input: Vec<u8>,
}

impl Drop for Trial {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { target, seed, input } = self;
            let input = input.escape_ascii();
            let _ = writeln!(
                std::io::stderr(),
                "{target} fails, LEADGATE_SEED={seed}, over b\"{input}\""
            );
        }
    }
}

/// Forms whose fields vie for the same place, beside what platforms send.
const FORMS: [&str; 3] = [
    "page_url=https://a.example.vn/&url=https://b.example.vn/&link=kh%C3%B4ng+ph%E1%BA%A3i+trang&referrer=x",
    "name=Thử&ho_ten=Nguyễn+Thử&first_name=Thử&message=một&note=hai&ghi_chu=ba&sdt=1&sdt=2&phone=3",
    r#"{"utmSource":"a","utm_source":["b",2],"gclid":7,"email":["a@example.vn","b"],"x":[true,null],"Gọi":"0"}"#,
];

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// Every body among the fixtures.
fn fixtures() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut files = Vec::new();
    for platform in std::fs::read_dir(root).unwrap() {
        let platform = platform.unwrap().path();
        files.extend(std::fs::read_dir(platform).unwrap().map(|file| file.unwrap().path()));
    }
    files.retain(|file| !file.to_string_lossy().ends_with(".meta.json"));
    files.sort(); // the same on every machine
    let bodies = files.into_iter().map(|file| std::fs::read(file).unwrap());
    bodies.filter(|body| body.len() <= FIXTURE_BYTES_MAX).collect()
}

/// What a target's inputs are made of: a body behind the bytes that choose how it is read, or a text.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let behind = |head: &[u8], body: &[u8]| [head, body].concat();
    let mut fixtures = fixtures();
    fixtures.extend(FORMS.iter().map(|form| form.as_bytes().to_vec()));
    let texts: &[&str] = match target {
        "decode" => {
            let kinds = (0..6_u8).flat_map(|kind| fixtures.iter().map(move |body| (kind, body)));
            return kinds.map(|(kind, body)| behind(&[kind], body)).collect();
        }
        "extract" => {
            // Some of the presets for each body; the first two bytes change like any other.
            let heads = (0..u8::MAX).step_by(7).map(|preset| [preset, preset % 6]);
            let pairs = heads.flat_map(|head| fixtures.iter().map(move |body| (head, body)));
            return pairs.map(|(head, body)| behind(&head, body)).collect();
        }
        "phone" => &[
            "0900 000 001",
            "+84 (0) 912-345-678",
            "SĐT: 0900.000.001 (gọi giờ hành chính)",
            "0123 456 7890",
            "024 3825 1234",
            "00 1 650 555 0123",
            "+44 20 7946 0018",
            "０９０００００００１ / 0900000002",
            "84900000001",
            "900000001",
        ],
        _ => &[
            "https://shop.example.vn/lp?a=1&utm_source=f%62&b=x+y&c&gclid=#form\nafacebook\nbTết & 1+1\nhIwAR_x",
            "https://người.example.vn/a?utmSource=x&utm[medium]=y&fbClid=z\n\nczalo",
            "https://shop.example.vn/#/dang-ky?utm_source=fb&zarsrc=30\naxxxxx\ngG-1_2",
            "/khong-phai-trang\nefb\nfcpc\nihttps://x.example.vn/?a=b&c=%20",
        ],
    };
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn run(name: &str) {
    let (name, target) = *targets::ALL.iter().find(|(known, _)| *known == name).unwrap();
    let seed = number("LEADGATE_SEED").unwrap_or(SEED);
    let lasts = Duration::from_secs(number("LEADGATE_FUZZ_SECONDS").unwrap_or(LASTS_S));
    let _ = writeln!(std::io::stderr(), "{name} for {lasts:?}: LEADGATE_SEED={seed}");
    let corpus = corpus(name);
    let mut chance = Chance(seed);
    let mut trial = Trial { target: name, seed, input: Vec::new() };
    for input in &corpus {
        trial.input.clone_from(input);
        target(&trial.input);
    }
    let begun = Instant::now();
    let mut tried = 0;
    while begun.elapsed() < lasts {
        trial.input = mutation::input(&mut chance, &corpus);
        target(&trial.input);
        tried += 1;
    }
    let _ = writeln!(std::io::stderr(), "{name}: {tried} inputs");
    assert!(tried >= INPUTS_MIN || lasts.as_secs() < LASTS_S, "{name}: only {tried} inputs");
}

#[test]
fn whatever_is_decoded_is_bounded_and_whole() {
    run("decode");
}

#[test]
fn whatever_is_extracted_nothing_vanishes() {
    run("extract");
}

#[test]
fn whatever_is_a_phone_number_stays_one() {
    run("phone");
}

#[test]
fn whatever_is_attribution_is_in_the_ref_url() {
    run("ref_url");
}

/// The seed alone decides the inputs.
#[test]
fn the_same_seed_makes_the_same_inputs() {
    let corpus = corpus("phone");
    let inputs = |seed| {
        let mut chance = Chance(seed);
        (0..200).map(|_| mutation::input(&mut chance, &corpus)).collect::<Vec<_>>()
    };
    assert_eq!(inputs(7), inputs(7));
    assert_ne!(inputs(7), inputs(8));
}
