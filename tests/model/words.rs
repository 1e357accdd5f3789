//! A trace in words that a newcomer understands.

use etcd_agent::plan::start::Start;

use crate::{
    agent::Deed,
    chores::Chore,
    explore::{Counterexample, Report},
    facts::id_of,
    faults::Fault,
    mistake::Rules,
    scenario::Scenario,
    step::Action,
    world::{GHOST, GIVEN_OUT, Id, Ids, PLACES, Process, Suspicion, World, bit, ids, seat_of},
};

/// What each property promises.
#[must_use]
pub fn promise(property: char) -> &'static str {
    match property {
        'a' => "no acknowledged write is lost while a majority of the membership's volumes is intact",
        'b' => "there are never two clusters, or two leaders that can commit",
        'c' => "no ID runs whose volume was lost",
        'd' => "with a majority intact and nothing else failing, the wanted membership can be reached",
        'h' => "nobody begins with other data than the life, nor empty where the life begins with data",
        'f' => "Left is final for a pod: the coordinator may take it away",
        _ => "a member that is wanted and has its volume stays a member",
    }
}

/// What was visited, in a line.
#[must_use]
pub fn summary(report: &Report) -> String {
    let Report { states, steps, settled, promised, complete, time, broken, .. } = report;
    let all = if *complete { "all visited" } else { "NOT all visited: (d) is not judged" };
    let end = match broken {
        Some(found) => format!("BROKEN ({})", found.broken.property()),
        None => "every property holds".into(),
    };
    let seconds = time.as_secs_f32();
    format!(
        "{states} states, {steps} steps, {all}, {settled} settled, (d) promised in {promised}; {end}; {seconds:.1} s"
    )
}

/// The whole story of how a property was broken.
#[must_use]
pub fn story(scenario: &Scenario, found: &Counterexample) -> String {
    let mut lines = vec![format!("{}: {}", scenario.name, scenario.bounds())];
    lines.extend(scenario.rules.mistake.map(|mistake| format!("planted: {}", mistake.sentence())));
    let mut before = scenario.first();
    for (number, (action, after)) in found.trace.iter().enumerate() {
        if number == found.ends_here && found.broken.property() == 'd' {
            lines.push("     From here it is out of reach; it may go on like this:".into());
        }
        lines.push(format!("{:3}. {}", number + 1, sentence(&before, action)));
        if members(&before) != members(after) {
            lines.push(format!("       members: {}", members(after)));
        }
        before = after.clone();
    }
    lines.push("     In the end:".into());
    lines.extend((0..PLACES).filter_map(|place| end_of(&before, place, &scenario.rules)));
    let property = found.broken.property();
    lines.push(format!("     Broken: ({property}) {}: {}", promise(property), found.broken.sentence()));
    lines.join("\n")
}

/// What is at a place, and what its agent makes of it.
fn end_of(world: &World, place: usize, rules: &Rules) -> Option<String> {
    let pod = world.pod(place)?;
    let runs = match pod.process {
        Process::Idle => "etcd does not run",
        Process::Pausing => "etcd is about to be started again",
        Process::Running { leads: true } => "etcd runs and leads",
        Process::Running { leads: false } => "etcd runs",
    };
    let plan = |list| world.question(place, list, rules).map(|question| format!("{:?}", question.ask()));
    let plans = match pod.process {
        Process::Idle => format!(
            "; its plan says {} alone and {} with the list",
            plan(None).unwrap_or_default(),
            plan(Some(world.config(pod.incarnation))).unwrap_or_default()
        ),
        Process::Pausing | Process::Running { .. } => String::new(),
    };
    Some(format!("       {}: {runs}{plans}", at(world, place)))
}

fn members(world: &World) -> String {
    let config = world.config(world.incarnation);
    let entry = |id: Id| {
        let learner = if config.learners & bit(id) == 0 { "" } else { " (learner)" };
        format!("{}{learner}", of(id))
    };
    ids(config.all()).map(entry).collect::<Vec<_>>().join(", ")
}

/// An ID by its owner.
fn of(id: Id) -> String {
    if id < GIVEN_OUT { format!("demo-{}", seat_of(id)) } else { format!("demo-{} under a new ID", seat_of(id)) }
}

fn all_of(set: Ids) -> String {
    ids(set).map(|id| format!("demo-{}", seat_of(id))).collect::<Vec<_>>().join(", ")
}

fn at(world: &World, place: usize) -> String {
    let cut = if place == GHOST { " (on the node that was cut off)" } else { "" };
    format!("demo-{}{cut}", world.ordinal(place))
}

fn sentence(world: &World, action: &Action) -> String {
    match action {
        Action::Watch(place) => format!("{}'s agent hears everybody again", at(world, *place)),
        Action::Hear(place) => format!("{}'s agent hears the others' list", at(world, *place)),
        Action::Turn(place, deed) => format!("{}'s agent {}", at(world, *place), deed_words(deed)),
        Action::Note(place) => format!("{}'s agent writes the answer that it got onto the mark", at(world, *place)),
        Action::Order(place) => format!("{}'s launcher takes the order", at(world, *place)),
        Action::Restart(place) => format!("{}'s launcher starts etcd again by itself, or gives up", at(world, *place)),
        Action::Expelled(place) => format!("{}'s etcd finds that it was removed, and ends", at(world, *place)),
        Action::Elect { place, with } => format!("{}'s etcd is elected by {}", at(world, *place), all_of(*with)),
        Action::CatchUp(place) => format!("{}'s etcd, which was behind, is caught up with", at(world, *place)),
        Action::Write => "a client's write is acknowledged".into(),
        Action::Chore(chore) => chore_words(*chore),
        Action::Stray => "a request arrives late whose sender has given it up".into(),
        Action::Serve => "what the life begins with is served again".into(),
        Action::Unpause => "USER: lets all go on".into(),
        Action::Return => "the API server answers again".into(),
        Action::Fenced => "the node that was cut off is switched off for good".into(),
        Action::Fault(fault) => fault_words(world, *fault),
    }
}

fn deed_words(deed: &Deed) -> String {
    match deed {
        Deed::Plan(step) => step_words(step),
        Deed::Adopt(id) => format!("writes the listed ID of {} onto its mark", of(*id)),
        Deed::Presume(id) => format!("writes the ID of {} onto its mark, unclaimed", of(*id)),
        Deed::PlaceUnasked => "puts what was restored in its place".into(),
        Deed::Suspect(Suspicion::OtherId) => "stops an etcd that runs under another ID than the mark's".into(),
        Deed::Suspect(Suspicion::Forced) => "stops an etcd that says that it is alone".into(),
        Deed::Record(voters) => format!("writes the voters onto its mark: {}", all_of(*voters)),
        Deed::Halt(why) => format!("stops etcd: {why}"),
        Deed::MoveLeader(to) => format!("hands leadership to {}", of(*to)),
        Deed::Remove(id, why) | Deed::Steward { id, why, .. } => {
            format!("removes {} from the membership: {why}", of(*id))
        }
        Deed::Promote(id) => format!("has {} promoted to a voter", of(*id)),
        Deed::ClaimLate { .. } => "claims the member for its volume, now that it runs".into(),
    }
}

fn step_words(step: &Start) -> String {
    match step {
        Start::Touch => "writes the first mark on a blank volume".into(),
        Start::Claim { .. } => "claims the member for its volume at the API server".into(),
        Start::Trust => "forgets what it suspected: nobody holds the lost voters' IDs any more".into(),
        Start::SetLived => "records that a WAL is there".into(),
        Start::Bootstrap => "orders etcd to start with `new`".into(),
        Start::Restore(_) => "comes a step nearer to the data that its cluster begins with".into(),
        Start::Resume => "orders etcd to start on its data".into(),
        Start::SetAside(why) => format!("sets the data aside ({why:?})"),
        Start::Renew { .. } => "writes a fresh mark with a new volume ID".into(),
        Start::Remove { id } => format!("removes the entry of {}, which has its URL", of(id_of(id))),
        Start::Add => "adds itself as a learner".into(),
        Start::Join => "orders etcd to start with `existing`".into(),
        Start::Retire => "writes onto the mark that its member has left".into(),
        other => format!("does nothing ({other:?})"),
    }
}

fn chore_words(chore: Chore) -> String {
    match chore {
        Chore::Raise(n) => format!("the coordinator raises replicas to {n}"),
        Chore::DecideLower(n) => format!("the coordinator decides to lower replicas to {n}"),
        Chore::Lower(n) => format!("the coordinator lowers replicas to {n}"),
        Chore::Succeed(seat) => {
            format!("the coordinator deletes demo-{seat}'s pod, whose member has left: a successor joins")
        }
        Chore::ClearVolume(seat) => format!("the coordinator deletes the volume of demo-{seat}, which has left"),
        Chore::ClearObject(seat) => format!("the coordinator deletes the EtcdMember of demo-{seat}, which has left"),
        Chore::Remake(seat) => format!("the coordinator makes demo-{seat}'s EtcdMember again, with `initial: false`"),
        Chore::Begin => "no pod is left: the coordinator begins the next incarnation".into(),
        Chore::MakePod(seat) => format!("demo-{seat}'s pod is made"),
        Chore::EndPod(seat) => format!("demo-{seat}'s pod is deleted, as it is one too many"),
    }
}

fn fault_words(world: &World, fault: Fault) -> String {
    match fault {
        Fault::Edit(0) => "USER: stops the cluster (size 0)".into(),
        Fault::Edit(size) => format!("USER: asks for {size} members"),
        Fault::Abandon => "USER: gives the incarnation up".into(),
        Fault::Pause => "USER: lets all rest".into(),
        Fault::AgentDies(place) => format!("FAULT: {}'s agent dies before it writes its answer down", at(world, place)),
        Fault::EtcdDies(place) => format!("FAULT: {}'s etcd is killed", at(world, place)),
        Fault::PodDies { seat, ordered: false } => format!("FAULT: demo-{seat}'s pod dies"),
        Fault::PodDies { seat, ordered: true } => format!("FAULT: demo-{seat}'s pod is deleted in good order"),
        Fault::DiskLost(seat) => format!("FAULT: demo-{seat}'s pod and volume are lost"),
        Fault::Emptied(seat) => format!("FAULT: everything on demo-{seat}'s volume is deleted under the running pod"),
        Fault::DataLost { seat, database_left: false } => {
            format!("FAULT: demo-{seat}'s data directory is deleted, its mark stays")
        }
        Fault::DataLost { seat, database_left: true } => {
            format!("FAULT: demo-{seat}'s WAL is deleted, its database and its mark stay")
        }
        Fault::Deaf(place) => format!("FAULT: {}'s agent begins anew and does not hear its launcher", at(world, place)),
        Fault::ObjectDeleted(seat) => format!("FAULT: demo-{seat}'s EtcdMember is deleted"),
        Fault::Outage => "FAULT: the API server goes away".into(),
        Fault::Blind(place) => format!("FAULT: {}'s watch hangs without its knowing", at(world, place)),
        Fault::Mute(place) => format!("FAULT: the API server does not take what {}'s agent writes", at(world, place)),
        Fault::CutOff(seat) => {
            format!("FAULT: demo-{seat}'s node is cut off; the pod goes on there, another is made here")
        }
        Fault::Copied(seat) => format!("FAULT: somebody takes a copy of demo-{seat}'s volume"),
        Fault::Forced(seat) => {
            format!("FAULT: demo-{seat}'s etcd is started with --force-new-cluster: it goes on alone")
        }
        Fault::Unserved => "FAULT: nobody serves what the life begins with any more".into(),
        Fault::Untold => "FAULT: the members are told of no data any more".into(),
        Fault::Misserved => "FAULT: where that was served, other bytes are".into(),
        Fault::PutBack => "FAULT: the copy is put back in place of the volume".into(),
    }
}
