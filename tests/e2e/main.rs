//! The promises, tried on a real Kubernetes: one file a promise, a namespace of its own for each test. `README.md` is the map.

mod harness;

mod account_made_anew;
mod adoption;
mod all_at_once;
mod authentication;
mod bad_input;
mod bootstrap_crashes;
mod creation_repeats;
mod deleted_and_created_again;
mod foreign_environment;
mod frozen_etcd;
mod full_disk;
mod half_open;
mod in_cluster;
mod life;
mod lost_status;
mod neighbours;
mod noisy_neighbours;
mod older_kinds;
mod operator_upgrade;
mod outages;
mod pod_template;
mod process_faults;
mod protection;
mod quiet;
mod refused;
mod restarts;
mod rests;
mod services;
mod sizes;
mod status_cli;
mod strangers;
mod two_installations;
mod unreadable;
mod versions;
