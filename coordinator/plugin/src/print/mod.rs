//! How things are printed: tables, colours, times, bytes. Pure, but for `paint::Paint::of_terminal`.

pub mod fleet;
pub mod members;
pub mod page;
pub mod paint;
pub mod structured;
pub mod table;
pub mod units;
