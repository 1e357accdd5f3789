//! What the two commands do, shown while they do it. `README.md` beside this file is the map.
//!
//! ```text
//!   make demo ─┐            ┌─ lane 1: task, task, …  ─▶ process ─▶ how far ─┐
//!   make test ─┴▶ plan: step┤                                                ├─▶ board ─▶ a terminal or a log
//!                           └─ lane 2: task, …        ─▶ go, cargo ──────────┘
//! ```

pub mod board;
pub mod cargo;
pub mod deadline;
pub mod demo;
pub mod go;
pub mod helm;
pub mod kubectl;
pub mod lock;
pub mod place;
pub mod plan;
pub mod process;
pub mod signals;
pub mod test;
pub mod toolchain;
pub mod view;
