//! A page, and the commands in it.
//!
//! ````text
//! <!-- not run: why -->          a reader's command that no test runs, and the reason
//! <!-- yours -->                 `export NAME=value` lines, where a reader, and a test, puts values of their own
//! <!-- until it prints this -->  run again until the text below is printed
//! ```sh
//! kubectl get etcdc demo
//! ```
//! ```text
//! demo   Running   3/3   …       what it prints: these lines, in this order; … is anything, and spaces are one
//! ```
//! ````

use crate::clone;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};

/// Where pages are.
pub const FOLDER: &str = "manifests/docs";

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Relative to [`FOLDER`], with `/`.
    pub name: String,
    pub text: String,
}

/// Commands that stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Line of the page on which they begin.
    pub line: usize,
    pub commands: String,
    pub manner: Manner,
    /// What the page says that they print.
    pub prints: Option<String>,
}

/// How a block is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manner {
    Once,
    /// Until it prints what it is to print.
    Again,
    /// It says what is the reader's own.
    Yours,
    /// No test runs it, for this reason.
    Not(String),
}

/// Every page, by name.
///
/// # Errors
/// When one cannot be read.
pub fn all() -> Result<Vec<Page>> {
    let mut pages = Vec::new();
    let root = clone(FOLDER);
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") {
                pages.push(read(&root, &path)?);
            }
        }
    }
    pages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(pages)
}

/// One page.
///
/// # Errors
/// When there is none of this name.
pub fn named(name: &str) -> Result<Page> {
    let root = clone(FOLDER);
    read(&root, &root.join(name))
}

fn read(root: &Path, path: &Path) -> Result<Page> {
    let name = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(Page { name, text })
}

impl Page {
    /// The blocks of commands, in order.
    ///
    /// # Errors
    /// When a note is none, or stands before something else.
    pub fn blocks(&self) -> Result<Vec<Block>> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut lines = self.text.lines().enumerate();
        let (mut note, mut after) = (None, false);
        while let Some((at, line)) = lines.next() {
            let place = || format!("{}:{}", self.name, at + 1);
            match line.trim_end() {
                "```sh" => {
                    let commands = fenced(&mut lines);
                    blocks.push(Block {
                        line: at + 2,
                        commands,
                        manner: note.take().unwrap_or(Manner::Once),
                        prints: None,
                    });
                    after = true;
                    continue;
                }
                "```text" if after => {
                    let prints = fenced(&mut lines);
                    blocks.last_mut().context("there is one")?.prints = Some(prints);
                }
                fence if fence.starts_with("```") => drop(fenced(&mut lines)),
                crate::reference::GENERATED => {}
                comment if comment.starts_with("<!--") => {
                    note = Some(manner(comment).with_context(place)?);
                    continue;
                }
                "" if after => continue,
                _ => {}
            }
            ensure!(note.is_none(), "{}: a note stands before no block", place());
            after = false;
        }
        for block in &blocks {
            let needs = block.manner == Manner::Again && block.prints.is_none();
            ensure!(!needs, "{}:{}: it is run until it prints nothing", self.name, block.line);
        }
        Ok(blocks)
    }

    /// What its links lead to, as paths of the clone; those of other sites are left out.
    #[must_use]
    pub fn links(&self) -> Vec<(String, PathBuf)> {
        let folder = Path::new(FOLDER).join(&self.name);
        links(&self.text, folder.parent().unwrap_or(Path::new("")))
    }
}

/// Links of a text that stands in a folder: as they are written, and where they lead.
#[must_use]
pub fn links(text: &str, folder: &Path) -> Vec<(String, PathBuf)> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let ours = targets.filter(|target| !target.contains("://") && !target.contains(' '));
    ours.map(|target| {
        let path = target.split('#').next().unwrap_or_default();
        (target.to_owned(), if path.is_empty() { PathBuf::new() } else { folder.join(path) })
    })
    .collect()
}

/// The anchors of a page's headings, as GitHub makes them.
#[must_use]
pub fn anchors(text: &str) -> Vec<String> {
    let mut in_fence = false;
    let headings = text.lines().filter(|line| {
        in_fence ^= line.starts_with("```");
        !in_fence && line.starts_with('#')
    });
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let words = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    words.map(|words| words.chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

fn fenced<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>) -> String {
    lines.map(|(_, line)| line).take_while(|line| !line.starts_with("```")).map(|line| format!("{line}\n")).collect()
}

fn manner(comment: &str) -> Result<Manner> {
    let words = comment.trim_start_matches("<!--").trim_end_matches("-->").trim();
    Ok(match (words, words.strip_prefix("not run:").map(str::trim)) {
        (_, Some(why)) if why.len() > 10 => Manner::Not(why.to_owned()),
        ("yours", _) => Manner::Yours,
        ("until it prints this", _) => Manner::Again,
        _ => bail!("{comment} is no note that a test knows"),
    })
}

/// Whether lines are there as a page claims: all of its lines, in its order, others between them.
///
/// # Errors
/// With the first line that is missing.
pub fn holds(claimed: &str, printed: &str) -> Result<()> {
    let mut rest = printed.lines();
    for line in claimed.lines().filter(|line| !line.trim().is_empty() && line.trim() != "…") {
        ensure!(rest.any(|printed| is_like(line, printed)), "it does not print {line:?}, but:\n{printed}");
    }
    Ok(())
}

fn is_like(claimed: &str, printed: &str) -> bool {
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (claimed, printed) = (squeezed(claimed), squeezed(printed));
    let parts: Vec<&str> = claimed.split('…').map(str::trim).collect();
    let (first, last) = (parts.first().copied().unwrap_or_default(), parts.last().copied().unwrap_or_default());
    if parts.len() == 1 {
        return claimed == printed;
    }
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    for part in &parts[1..parts.len() - 1] {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page { name: "page.md".into(), text: text.into() }
    }

    #[test]
    fn a_block_is_read_with_its_note_and_what_it_prints() {
        let text = "words\n\n<!-- until it prints this -->\n```sh\nkubectl get\n```\n\n```text\ndemo …\n```\n\n<!-- not run: it takes a day -->\n```sh\nsleep 1d\n```\nmore\n```text\nnothing\n```\n";
        let blocks = page(text).blocks().unwrap();
        assert_eq!((blocks.len(), blocks[0].line, blocks[0].commands.as_str()), (2, 5, "kubectl get\n"));
        assert_eq!((&blocks[0].manner, blocks[0].prints.as_deref()), (&Manner::Again, Some("demo …\n")));
        assert_eq!((&blocks[1].manner, &blocks[1].prints), (&Manner::Not("it takes a day".into()), &None));
        for odd in [
            "<!-- not run: no -->\n```sh\na\n```\n",
            "<!-- yours -->\nwords\n",
            "<!-- until it prints this -->\n```sh\na\n```\n",
        ] {
            assert!(page(odd).blocks().is_err(), "{odd}");
        }
    }

    #[test]
    fn what_is_printed_is_compared_by_words_and_dots_are_anything() {
        let printed = "NAME   PHASE     AGE\ndemo   Running   12s\nother  Creating  1s\n";
        for claimed in
            ["NAME PHASE AGE\ndemo   Running   …\n", "demo … 12s\n", "… Running …\n", "NAME PHASE AGE\n…\nother …"]
        {
            holds(claimed, printed).unwrap();
        }
        for wrong in ["demo Creating …", "demo Running …\nNAME …", "demo", "demo … 13s"] {
            assert!(holds(wrong, printed).is_err(), "{wrong}");
        }
    }

    #[test]
    fn links_and_anchors_are_as_github_has_them() {
        let found = page("[a](../b.md#c-d) [e](https://example.com) [f](#g)").links();
        assert_eq!(found[0], ("../b.md#c-d".into(), PathBuf::from("manifests/docs/../b.md")));
        assert_eq!((found.len(), &found[1]), (2, &("#g".into(), PathBuf::new())));
        assert_eq!(anchors("# One, two\n```\n# no\n```\n## `kubectl etcd`: it\n"), ["one-two", "kubectl-etcd-it"]);
    }
}
