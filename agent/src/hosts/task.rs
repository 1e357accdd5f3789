//! The task that keeps the book: takes offers, asks the addresses, writes the hosts file.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use etcd_operator_shared::names::PORT_AGENT;
use futures::future::join_all;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::warn;

use super::{
    address_book::{AddressBook, Answer},
    file,
    whoami::{NotAnAgent, WhoAmI},
};
use crate::http;

/// How often all addresses are asked while they are all confirmed, and while one is not.
const CALM: Duration = Duration::from_secs(5);
const EAGER: Duration = Duration::from_millis(200);
/// How long the others may take to learn this member's address, before it is asked for as seldom as the rest.
const NEWS: Duration = Duration::from_secs(15);
/// How long an agent may take to answer: it is one hop away and answers from memory.
const PATIENCE: Duration = Duration::from_millis(700);

/// Whose names are kept, and where.
#[derive(Debug, Clone)]
pub struct Names {
    pub cluster: String,
    pub namespace: String,
    pub cluster_uid: String,
    /// This member and its own address.
    pub own: (String, String),
    /// The hosts file.
    pub file: PathBuf,
}

/// Keeps the book until the offers end.
pub async fn keep(names: Names, mut offers: watch::Receiver<Vec<(String, String)>>, told: watch::Sender<AddressBook>) {
    let epoch = Instant::now();
    let kubelets = fs::read_to_string("/etc/hosts").unwrap_or_else(|_| "127.0.0.1\tlocalhost\n".into());
    let mut book = AddressBook::default();
    let mut changed = Instant::now();
    loop {
        book.offer(offers.borrow_and_update().clone(), epoch.elapsed());
        write(&names, &kubelets, &book);
        // Told before the addresses are asked: a forming cluster starts on what is offered.
        told.send_if_modified(|old| replace(old, &book));
        let answers = join_all(book.addresses().into_iter().map(|(name, address)| ask(&names, name, address)));
        for (name, address, answer) in answers.await {
            book.heard(&name, &address, answer, epoch.elapsed());
        }
        write(&names, &kubelets, &book);
        told.send_if_modified(|old| replace(old, &book));
        let strangers = book.acquainted().len() < book.addresses().len() && changed.elapsed() < NEWS;
        let calm = book.confirmed().len() == book.addresses().len() && !strangers;
        // Both arms are cancel-safe: a change stays pending in the watch, a nap has no effect.
        tokio::select! {
            news = offers.changed() => match news {
                Ok(()) => changed = Instant::now(),
                Err(_) => return,
            },
            () = sleep(if calm { CALM } else { EAGER }) => {}
        }
    }
}

fn replace(old: &mut AddressBook, new: &AddressBook) -> bool {
    let changed = old != new;
    if changed {
        old.clone_from(new);
    }
    changed
}

fn write(names: &Names, kubelets: &str, book: &AddressBook) {
    let addresses: Vec<_> = std::iter::once(names.own.clone()).chain(book.believed()).collect();
    let text = file::text(kubelets, &addresses, &names.cluster, &names.namespace);
    if let Err(error) = file::write(&names.file, &text) {
        warn!(%error, file = %names.file.display(), "cannot write the hosts file; etcd asks DNS for its peers");
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

async fn ask(names: &Names, member: String, address: String) -> (String, String, Answer) {
    let answer = match timeout(PATIENCE, whoami(&address)).await {
        Ok(said) => names.understood(&member, said),
        Err(_) => Answer::Silence,
    };
    (member, address, answer)
}

impl Names {
    /// What an address answered, when this member should be there.
    fn understood(&self, member: &str, said: Result<WhoAmI, NotAnAgent>) -> Answer {
        let (own, own_address) = &self.own;
        match said {
            Ok(said) if said.cluster_uid == self.cluster_uid && said.member == member => Answer::Itself {
                knows_me: said.addresses.get(own) == Some(own_address),
                holds: said.member_id.map(some),
            },
            Ok(_) | Err(NotAnAgent::Stranger(_)) => Answer::SomebodyElse,
            // Something in between may answer for an agent that is not there.
            Err(NotAnAgent::Silent(_)) => Answer::Silence,
        }
    }
}

/// Asks the agent at an address who it is; the caller bounds the time.
pub async fn whoami(address: &str) -> Result<WhoAmI, NotAnAgent> {
    // An IPv6 address needs brackets in an authority.
    let authority =
        if address.contains(':') { format!("[{address}]:{PORT_AGENT}") } else { format!("{address}:{PORT_AGENT}") };
    WhoAmI::read(&http::get(&authority, "/whoami", http::PAGE).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_member_itself_is_believed_at_its_address() {
        let names = Names {
            cluster: "demo".into(),
            namespace: "ns".into(),
            cluster_uid: "u".into(),
            own: ("demo-0".into(), "10.0.0.1".into()),
            file: PathBuf::new(),
        };
        let said = |uid: &str, member: &str| {
            let text = format!(
                r#"{{"cluster_uid": "{uid}", "member": "{member}", "addresses": {{"demo-0": "10.0.0.1"}}, "member_id": ""}}"#
            );
            names.understood("demo-1", WhoAmI::read(text.as_bytes()))
        };
        assert_eq!(said("u", "demo-1"), Answer::Itself { knows_me: true, holds: Some(None) });
        assert_eq!([said("v", "demo-1"), said("u", "demo-2")], [Answer::SomebodyElse, Answer::SomebodyElse]);
        let page = WhoAmI::read(b"<html>welcome</html>");
        assert_eq!(names.understood("demo-1", page), Answer::SomebodyElse);
        let silent = NotAnAgent::Silent(http::HttpError::Refused(hyper::StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(names.understood("demo-1", Err(silent)), Answer::Silence);
    }
}
