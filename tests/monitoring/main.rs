//! The alerts, judged by Debian's promtool and without a cluster. `README.md` is the map.

mod cases;
mod dashboard;
mod etcd;
mod names;
mod promtool;
mod rules;
mod runbooks;
mod stories;
