//! Every secret that a request presents is compared in constant time: nowhere in the source is one
//! compared in another way.

use crate::checkout::sources;

/// What compares, and takes longer the more of it is right.
const COMPARES: [&str; 6] = ["==", "!=", ".eq(", ".ne(", ".cmp(", "eq_ignore_ascii_case("];

/// Whether a configuration has changed is asked by nobody who chooses one side of it.
const RELOAD: &str = "config/same.rs";

#[test]
fn secrets_are_compared_in_constant_time() {
    let mut places = Vec::new();
    let (mut compared, mut shown) = (0, 0);
    for (path, text) in sources() {
        compared += text.matches("ct_eq(").count();
        shown += text.matches("expose_secret()").count();
        if path != RELOAD {
            let found = comparisons(&text).into_iter();
            places.extend(found.map(|(line, statement)| format!("src/{path}:{line}: {statement}")));
        }
    }
    assert!(places.is_empty(), "{places:#?}");
    assert!(compared > 0, "the comparison in constant time is gone");
    assert!(shown > compared, "secrets are shown by another name now");
}

#[test]
fn a_comparison_is_found_however_it_is_written() {
    for (text, line) in [
        ("if secret.expose_secret() == given {}", 1),
        ("f();\nlet is_it = given\n    == secret.expose_secret();", 2),
        ("\n\nlet is_it = secret\n    .expose_secret() // != it\n    .eq(given);", 3),
        ("given != secret.expose_secret().as_bytes()", 1),
        ("let text = r#\"a \"; b\"#;\nassert(\n  \";\",\n  a.expose_secret()\n  != ';');", 2),
    ] {
        let found: Vec<_> = comparisons(text).into_iter().map(|(line, _)| line).collect();
        assert_eq!(found, [line], "{text}");
    }
    for text in [
        "if given == other { secret.expose_secret(); }",
        "let is_it = a == b;\nlet key = secret.expose_secret();",
        "// a == b\nlet key = secret.expose_secret();",
        "let key = (secret.expose_secret(), \"a == \\\" b\", r\"!=\", '=', '\\'');",
        "fn f<'a>(key: &'a str) { g(key.expose_secret()) } // == 'a'",
        "given.ct_eq(secret.expose_secret().as_bytes())",
    ] {
        assert_eq!(comparisons(text), [], "{text}");
    }
}

/// The statements that compare what a secret holds, each with the line that it begins in.
fn comparisons(text: &str) -> Vec<(usize, String)> {
    let mut found = statements(text);
    found.retain(|(_, statement)| {
        statement.contains("expose_secret()")
            && COMPARES.iter().any(|compares| statement.contains(compares))
    });
    found
}

/// What stands between semicolons and braces, whatever lines that is on, without comments and
/// without what is in quotes.
fn statements(text: &str) -> Vec<(usize, String)> {
    let (mut found, mut statement) = (Vec::new(), String::new());
    let (mut line, mut begins, mut rest) = (1, 1, text);
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(passed_over(rest).unwrap_or(first.len_utf8()));
        match token {
            ";" | "{" | "}" => found.push((begins, std::mem::take(&mut statement))),
            _ if token.chars().count() > 1 => {} // a comment, or quoted
            _ => {
                if statement.is_empty() {
                    begins = line;
                }
                // Of white space there is none: `.eq (` is `.eq(`.
                statement.extend(Some(first).filter(|first| !first.is_whitespace()));
            }
        }
        line += token.matches('\n').count();
        rest = after;
    }
    found.push((begins, statement));
    found
}

/// How long the comment is, or what is quoted, that stands here.
fn passed_over(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    let raw = rest.strip_prefix('r').map(|raw| (raw, raw.trim_start_matches('#')));
    if let Some((raw, quoted)) = raw.filter(|(_, quoted)| quoted.starts_with('"')) {
        let hashes = &raw[..raw.len() - quoted.len()];
        let begins = 1 + hashes.len() + 1;
        let end = format!("\"{hashes}");
        return rest[begins..].find(&end).map(|length| begins + length + end.len());
    }
    if rest.starts_with('"') {
        return Some(end_of_quoted(rest, '"'));
    }
    // An apostrophe begins a letter, or is a lifetime's.
    let mut after = rest.strip_prefix('\'')?.chars();
    let is_letter = after.next() == Some('\\') || after.next() == Some('\'');
    is_letter.then(|| end_of_quoted(rest, '\''))
}

/// Where what begins with a quote has ended.
fn end_of_quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            letter if letter == quote => return at + letter.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}
