//! The chart, judged by the real Helm and without a cluster. `README.md` is the map.

mod equality;
mod notes;
mod package;
mod refusals;
mod render;
mod values;
