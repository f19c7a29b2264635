//! The repository's own files, which many tests hold against the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where something is that is named from the repository's root.
pub fn at(path: &str) -> PathBuf {
    root().join(path)
}

/// The text of a file that is named from the repository's root.
pub fn file(path: &str) -> String {
    let file = at(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Every file below a folder, in order.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] })
        .collect();
    files.sort();
    files
}

/// Every Rust file of the product: its path below `src/`, and its text.
pub fn sources() -> Vec<(String, String)> {
    let folder = at("src");
    let files = files_below(&folder).into_iter();
    files
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
        .map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            (file.strip_prefix(&folder).unwrap().display().to_string(), text)
        })
        .collect()
}

/// One of the scripts that bring a tool along with them, to be given arguments.
pub fn script(name: &str) -> Command {
    let mut command = Command::new(at("scripts").join(name));
    command.current_dir(root()).stdin(Stdio::null());
    command
}
