//! Claim: each block of commands is run by a test, or says why not; the stories play pages that are there, each once.

use crate::pages::{self, Manner};
use crate::{clone, stories};
use std::collections::BTreeSet;

#[test]
fn each_block_of_commands_is_played_or_says_why_not() {
    let played: Vec<&str> = stories::ALL.iter().flat_map(|story| story.pages.iter().copied()).collect();
    let mut blocks = 0;
    for page in pages::all().unwrap() {
        for block in page.blocks().unwrap() {
            blocks += 1;
            let runs = !matches!(block.manner, Manner::Not(_));
            assert!(!runs || played.contains(&page.name.as_str()), "{}:{}: no story plays it", page.name, block.line);
        }
    }
    assert!(blocks > 40, "only {blocks} blocks of commands were found");
}

#[test]
fn each_story_plays_pages_that_have_something_to_play_and_no_page_is_played_twice() {
    let mut seen = BTreeSet::new();
    for story in stories::ALL {
        for name in story.pages {
            assert!(seen.insert(name), "{name} is played twice");
            let blocks = pages::named(name).unwrap().blocks().unwrap();
            let runs = blocks.iter().filter(|block| !matches!(block.manner, Manner::Not(_)));
            assert!(runs.count() > 0, "{name} has nothing to play");
        }
        for example in story.begins_with {
            assert!(clone("manifests/examples").join(example).exists(), "there is no example {example}");
        }
    }
}

/// A reader puts values of their own there, and so does a test: it knows them by name.
#[test]
fn what_is_the_readers_own_is_exported_under_a_name() {
    for page in pages::all().unwrap() {
        for block in page.blocks().unwrap().into_iter().filter(|block| block.manner == Manner::Yours) {
            let odd = block.commands.lines().find(|line| !line.starts_with("export ") || !line.contains('='));
            assert_eq!(odd, None, "{}:{}", page.name, block.line);
        }
    }
}

/// A reason that names a test names one that is there.
#[test]
fn the_tests_that_reasons_name_are_there() {
    for page in pages::all().unwrap() {
        for block in page.blocks().unwrap() {
            let Manner::Not(why) = block.manner else { continue };
            for word in why.split_whitespace().map(|word| word.trim_end_matches([',', '.', ';', ':'])) {
                let named = word.starts_with("tests/");
                assert!(!named || clone(word).exists(), "{}:{}: there is no {word}", page.name, block.line);
            }
        }
    }
}
