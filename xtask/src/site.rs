//! The page for a CDN: names that change with what they hold, so that browsers may keep the files for ever.
//!
//! ```text
//! index.html              links assets/HASH/…; asked for anew each time
//! config.js               a deployment's settings; asked for anew each time
//! assets/HASH/app.js …    kept for a year; HASH is that of all of them, since they name each other
//! ```

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use sha2::{Digest, Sha256};

use crate::root;

/// Of what may change under its name: the browser asks, and is mostly answered 304.
pub(crate) const ASK: &str = "no-cache";

/// Of what never changes under its name.
pub(crate) const KEEP: &str = "public, max-age=31536000, immutable";

/// Every kind of file that the page has, by the end of its name, with its type.
pub(crate) const TYPES: &[(&str, &str)] = &[
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("svg", "image/svg+xml"),
];

/// Files whose names stay, the one that names the others last.
pub(crate) const FIXED: &[&str] = &["config.js", "index.html"];

/// `cargo xtask site`.
#[derive(Args)]
pub(crate) struct Site {
    /// The folder to make; what it held is removed
    folder: PathBuf,
}

impl Site {
    pub(crate) fn run(&self) -> Result<(), String> {
        prepare(&root().join("static"), &self.folder)
    }
}

/// Makes `target` of the page in `source`.
pub(crate) fn prepare(source: &Path, target: &Path) -> Result<(), String> {
    let files = arrange(read(source)?)?;
    let problem = |what: &str, path: &Path| format!("cannot {what} {}", path.display());
    if target.exists() {
        // Somebody else's folder is not for us to empty.
        if !target.join("index.html").exists() && has_files(target) {
            return Err(format!(
                "{} holds something else than a page; name a folder that is new or empty",
                target.display()
            ));
        }
        fs::remove_dir_all(target)
            .map_err(|error| format!("{}: {error}", problem("remove", target)))?;
    }
    for (name, contents) in files {
        let path = target.join(name);
        let folder = path.parent().expect("a file is in a folder");
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, contents))
            .map_err(|error| format!("{}: {error}", problem("write", &path)))?;
    }
    Ok(())
}

fn has_files(folder: &Path) -> bool {
    folder.read_dir().is_ok_and(|mut entries| entries.next().is_some())
}

/// The files directly in a folder. The page has no folders but that of its tests.
fn read(folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let problem = |error| format!("cannot read {}: {error}", folder.display());
    let mut files = BTreeMap::new();
    for entry in folder.read_dir().map_err(problem)? {
        let path = entry.map_err(problem)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            return Err(format!(
                "{} is a folder; files of the page lie side by side",
                path.display()
            ));
        }
        if path.is_file() {
            files.insert(name, fs::read_to_string(&path).map_err(problem)?);
        }
    }
    Ok(files)
}

/// Gives the files their names on the CDN, and makes them name each other so.
fn arrange(mut files: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, String> {
    if let Some(name) = files.keys().find(|name| content_type(name).is_none()) {
        return Err(format!("{name}: no type is known for files like that; add one to site.rs"));
    }
    let mut arranged = BTreeMap::new();
    for name in FIXED {
        let contents = files.remove(*name).ok_or_else(|| format!("the page has no {name}"))?;
        arranged.insert((*name).to_owned(), contents);
    }
    for (_, contents) in files.iter_mut().filter(|(name, _)| has_end(name, "js")) {
        *contents = contents.replace("\"./config.js\"", "\"../../config.js\"");
    }
    let hash = hash(&files);
    let index = arranged.get_mut("index.html").expect("it was just put there");
    for name in files.keys() {
        for attribute in ["href", "src"] {
            let link = format!("{attribute}=\"{name}\"");
            *index = index.replace(&link, &format!("{attribute}=\"assets/{hash}/{name}\""));
        }
    }
    refuse_other_links(index, &hash)?;
    let moved = files.into_iter().map(|(name, text)| (format!("assets/{hash}/{name}"), text));
    arranged.extend(moved);
    Ok(arranged)
}

/// A link to a file that isn't there would be found by the first visitor.
fn refuse_other_links(index: &str, hash: &str) -> Result<(), String> {
    for link in links(index) {
        if !link.starts_with(&format!("assets/{hash}/")) {
            return Err(format!("index.html links {link:?}, which is no file of the page"));
        }
    }
    Ok(())
}

/// The files that a page names.
pub(crate) fn links(page: &str) -> impl Iterator<Item = &str> {
    let links = ["href=\"", "src=\""].into_iter().flat_map(|start| page.split(start).skip(1));
    links.filter_map(|rest| rest.split('"').next())
}

/// Of names and contents; 16 hexadecimal digits.
fn hash(files: &BTreeMap<String, String>) -> String {
    let mut hasher = Sha256::new();
    for (name, contents) in files {
        for part in [name, contents] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
    }
    hex::encode(&hasher.finalize()[..8])
}

/// The type of a file by its name.
pub(crate) fn content_type(name: &str) -> Option<&'static str> {
    TYPES.iter().find(|(end, _)| has_end(name, end)).map(|(_, content_type)| *content_type)
}

fn has_end(name: &str, end: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    const INDEX: &str = r#"<link href="style.css"><script src="app.js"></script>"#;

    fn small(app: &str) -> BTreeMap<String, String> {
        page(&[("index.html", INDEX), ("config.js", "C"), ("app.js", app), ("style.css", "S")])
    }

    #[test]
    fn names_change_with_what_the_files_hold() {
        let names =
            |app: &str| arrange(small(app)).expect("it is a page").into_keys().collect::<Vec<_>>();
        assert_eq!(names("1"), names("1"));
        assert_ne!(names("1"), names("2"));
        let first = names("1");
        assert_eq!(first[2..], ["config.js", "index.html"]);
        assert!(first[0].ends_with("/app.js") && first[1].ends_with("/style.css"), "{first:?}");
    }

    #[test]
    fn what_a_deployment_sets_is_no_part_of_the_hash() {
        let mut other = small("1");
        other.insert("config.js".to_owned(), "D".to_owned());
        let names = |files| arrange(files).expect("it is a page").into_keys().collect::<Vec<_>>();
        assert_eq!(names(other), names(small("1")));
    }

    #[test]
    fn files_name_each_other_where_they_are() {
        let files =
            arrange(small(r#"import { config } from "./config.js";"#)).expect("it is a page");
        let app = files.iter().find(|(name, _)| name.ends_with("app.js")).expect("it is there");
        assert_eq!(app.1, r#"import { config } from "../../config.js";"#);
        let folder = app.0.strip_suffix("app.js").expect("it ends so");
        let expected =
            format!(r#"<link href="{folder}style.css"><script src="{folder}app.js"></script>"#);
        assert_eq!(files["index.html"], expected);
    }

    #[test]
    fn a_page_with_a_link_to_nowhere_is_refused() {
        let mut files = small("1");
        files.remove("style.css");
        let problem = arrange(files).expect_err("style.css is missing");
        assert!(problem.contains("style.css"), "{problem}");
    }

    #[test]
    fn the_page_names_its_files() {
        let page = r#"<link href="assets/1/a.css"><img src="assets/1/b.svg">"#;
        assert_eq!(links(page).collect::<Vec<_>>(), ["assets/1/a.css", "assets/1/b.svg"]);
    }

    #[test]
    fn a_file_of_an_unknown_kind_is_refused() {
        let mut files = small("1");
        files.insert("photo.xyz".to_owned(), String::new());
        let problem = arrange(files).expect_err("nobody knows xyz");
        assert!(problem.contains("photo.xyz"), "{problem}");
    }
}
