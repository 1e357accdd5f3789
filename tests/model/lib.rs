//! The model of membership: the agents' real plans inside a small world, visited whole.
#![allow(clippy::cast_possible_truncation)]

pub mod acts;
pub mod agent;
pub mod apiserver;
pub mod budget;
pub mod catalogue;
pub mod chores;
pub mod config;
pub mod coordinator;
pub mod etcd;
pub mod explore;
pub mod facts;
pub mod faults;
pub mod forget;
pub mod graph;
pub mod hash;
pub mod launcher;
pub mod mistake;
pub mod perform;
pub mod places;
pub mod property;
mod restore;
pub mod scenario;
pub mod settle;
pub mod step;
pub mod unread;
pub mod words;
pub mod world;
