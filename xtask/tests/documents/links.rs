//! Links between documents, and from documents to files.

use std::path::Path;

use crate::document::{Document, all};

pub fn lead_somewhere() {
    let documents = all();
    assert!(documents.len() > 5);
    let mut lost = Vec::new();
    for document in &documents {
        let is_near = |link: &&String| !link.contains("://") && !link.starts_with("mailto:");
        for link in document.links.iter().filter(is_near) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = document.path.parent().unwrap().join(path);
            let target = if path.is_empty() { document.path.clone() } else { target };
            if !target.exists() || !has(&target, anchor) {
                lost.push(format!("{}: {link}", document.name()));
            }
        }
    }
    assert!(lost.is_empty(), "these links lead nowhere:\n{}", lost.join("\n"));
}

fn has(target: &Path, anchor: &str) -> bool {
    anchor.is_empty() || Document::read(target).anchors.contains(anchor)
}
