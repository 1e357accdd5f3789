//! Where the other members are: a hosts file for etcd, so that it never asks DNS too early or too late.
//!
//! CoreDNS, as everyone runs it, keeps an answer for 30 s: the absence of a name that was asked too early, and the old
//! address of a pod that was made again. Both would keep etcd's members apart for that long. So the coordinator puts the
//! pods' addresses into the EtcdMember, and the agent writes them into the file that is mounted over the etcd container's
//! `/etc/hosts`; Go reads it again within 5 s of a change.
//!
//! An address is kept while the agent behind it says that it is that member (`/whoami`), and a while after; otherwise the
//! entry is dropped and etcd asks DNS, which is right as long as the coordinator is away.

pub mod address_book;
pub mod file;
pub mod task;
pub mod whoami;

pub use address_book::AddressBook;
