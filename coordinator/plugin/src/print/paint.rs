//! Colours, where somebody sees them.

use std::io::{IsTerminal, stdout};

use crate::{args, view::answer::Answer};

/// Whether colours are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Coloured,
}

/// What a colour says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    Good,
    Warning,
    Bad,
    /// Of less weight.
    Dim,
    /// A heading.
    Strong,
}

impl Paint {
    /// Colours go to a terminal only, and only to readers who want them.
    #[must_use]
    pub fn of_terminal(no_color: bool) -> Self {
        let wanted = !no_color && !args::no_color() && stdout().is_terminal();
        if wanted { Self::Coloured } else { Self::Plain }
    }

    #[must_use]
    pub fn put(self, tone: Tone, text: &str) -> String {
        match (self, code(tone)) {
            (Self::Coloured, Some(code)) if !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            (Self::Coloured | Self::Plain, _) => text.to_owned(),
        }
    }
}

fn code(tone: Tone) -> Option<u8> {
    match tone {
        Tone::Plain => None,
        Tone::Strong => Some(1),
        Tone::Dim => Some(2),
        Tone::Bad => Some(31),
        Tone::Good => Some(32),
        Tone::Warning => Some(33),
    }
}

impl From<Answer> for Tone {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::True => Self::Good,
            Answer::False => Self::Bad,
            Answer::Unknown => Self::Warning,
        }
    }
}
