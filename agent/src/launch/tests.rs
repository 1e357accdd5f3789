//! The launcher as a whole, with a program in etcd's place: what it does to a volume, a process and a socket.

use std::{fs, os::unix::fs::PermissionsExt, thread};

use super::{
    protocol::{Exit, Process, Request, Rest, State, VERSION, Volume},
    *,
};
use crate::volume::lock::Lock;

/// Longer than a shell takes to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

const MARK: &str = r#"{"format":1,"clusterUid":"u","incarnation":1,"member":"demo-0","volumeId":"v","claim":1,"memberId":"a","counter":7}"#;

/// A pod's two containers, as far as the launcher sees them.
struct Pod {
    dir: tempfile::TempDir,
}

impl Pod {
    /// With an etcd that makes a WAL, notes its arguments and runs on.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pod = Self { dir };
        for folder in ["volume", "shared", "bin"] {
            fs::create_dir(pod.path(folder)).unwrap();
        }
        fs::write(pod.path("volume/mark.json"), MARK).unwrap();
        let (wal, calls) = (pod.path("volume/data/member/wal"), pod.path("calls"));
        let (wal, calls) = (wal.display(), calls.display());
        let version = "[ \"$1\" = --version ] && { echo 'etcd Version: 3.5.21'; exit; }";
        let runs = format!("mkdir -p {wal}\n: > {wal}/0.wal\necho \"$*\" >> {calls}\nexec sleep 60");
        let script = format!("#!/bin/sh\n{version}\n{runs}\n");
        fs::write(pod.path("bin/etcd"), script).unwrap();
        fs::set_permissions(pod.path("bin/etcd"), fs::Permissions::from_mode(0o755)).unwrap();
        pod
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn store(&self) -> Store {
        Store::new(self.path("volume"))
    }

    /// Starts a launcher, which runs until the tests end, and connects to it as an agent does.
    fn launch(&self) -> Agent {
        let places = Places {
            volume: self.path("volume"),
            shared: self.path("shared"),
            path: Some(self.path("bin").into_os_string()),
        };
        thread::spawn(move || run(&places, &[]));
        let stream = wait(|| UnixStream::connect(self.path("shared").join(SOCKET)).ok());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut agent = Agent { stream };
        let Message::Hello { protocol: VERSION, etcd, .. } = agent.hears() else { panic!("it says who it is first") };
        assert_eq!(etcd.is_some(), self.path("bin/etcd").exists(), "it says which etcd it has");
        agent.says(&Request::Hello { protocol: VERSION });
        agent
    }
}

struct Agent {
    stream: UnixStream,
}

impl Agent {
    fn says(&mut self, request: &Request) {
        protocol::write(&mut self.stream, request).unwrap();
    }

    fn hears(&mut self) -> Message {
        protocol::read(&mut self.stream).unwrap()
    }

    /// The next state of this kind.
    fn awaits(&mut self, wanted: impl Fn(&State) -> bool) -> State {
        loop {
            if let Message::State(state) = self.hears()
                && wanted(&state)
            {
                return state;
            }
        }
    }

    fn rests(&mut self) -> State {
        self.awaits(|state| state.process == Process::Idle)
    }

    fn runs(&mut self, restarts: u32) -> i32 {
        match self.awaits(|s| s.restarts == restarts && matches!(s.process, Process::Running { .. })).process {
            Process::Running { pid } => pid,
            other => panic!("it is {other:?}"),
        }
    }
}

fn order(number: u64, first: bool) -> Request {
    let volume = Volume { volume_id: "v".into(), member_id: Some("a".into()), rest: Rest::default() };
    let (args, again) = (
        vec!["--initial-cluster-state=new".into()],
        vec!["--initial-cluster-state=existing".into(), "--name=a".into()],
    );
    Request::Start(Order { number, first, args, again, options: None, pools: None, volume })
}

fn wait<T>(question: impl Fn() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        match question() {
            Some(answer) => return answer,
            None => assert!(Instant::now() < until, "it takes too long"),
        }
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn an_ordered_etcd_leaves_its_proof_and_is_started_again_as_a_member_with_data() {
    let pod = Pod::new();
    let mut agent = pod.launch();
    agent.rests();
    agent.says(&order(1, true));
    let pid = agent.runs(0);
    wait(|| pod.store().lived("v").unwrap().then_some(()));
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    agent.runs(1);
    let calls = wait(|| fs::read_to_string(pod.path("calls")).ok().filter(|text| text.lines().count() == 2));
    assert_eq!(calls, "--initial-cluster-state=new\n--initial-cluster-state=existing --name=a\n");
    agent.says(&Request::Kill);
    let State { order, last_exit, .. } = agent.rests();
    assert!(order == 1 && matches!(last_exit, Some(Exit { ordered: true, .. })), "{last_exit:?}");
}

#[test]
fn a_volume_that_is_emptied_under_a_running_etcd_is_not_started_on_again() {
    let pod = Pod::new();
    let mut agent = pod.launch();
    agent.rests();
    agent.says(&order(1, true));
    let pid = agent.runs(0);
    wait(|| pod.store().lived("v").unwrap().then_some(()));
    fs::remove_dir_all(pod.path("volume/data")).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    assert_eq!(agent.rests().restarts, 0);
    agent.says(&order(2, false));
    assert!(matches!(agent.hears(), Message::Refused { order: 2, why } if why.contains("data is gone")));
}

#[test]
fn a_launcher_waits_for_its_predecessor_on_the_volume_and_says_so() {
    let pod = Pod::new();
    let predecessor = Lock::take(&pod.store().lock_path("launcher")).unwrap();
    let mut agent = pod.launch();
    assert!(matches!(agent.hears(), Message::Waiting { why } if why.contains("another launcher")));
    agent.says(&order(1, true));
    assert!(matches!(agent.hears(), Message::Refused { order: 1, .. }), "nothing is started beside it");
    drop(predecessor);
    agent.rests();
    agent.says(&order(2, true));
    agent.runs(0);
    agent.says(&Request::Kill);
    agent.rests();
}

#[test]
fn an_image_without_etcd_is_named() {
    let pod = Pod::new();
    fs::remove_file(pod.path("bin/etcd")).unwrap();
    let mut agent = pod.launch();
    agent.rests();
    agent.says(&order(1, true));
    let state = agent.awaits(|state| state.last_exit.is_some());
    let exit = state.last_exit.unwrap();
    assert!(exit.tail[0].contains("the image has no etcd in its PATH"), "{exit:?}");
}

/// Asks for a data directory of a snapshot; the answer, once the launcher is at rest again.
fn restored(pod: &Pod, agent: &mut Agent, script: Option<&str>) -> Option<String> {
    if let Some(script) = script {
        fs::write(pod.path("bin/etcdutl"), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(pod.path("bin/etcdutl"), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let Request::Start(Order { volume, .. }) = order(1, true) else { panic!("it is one") };
    agent.says(&Request::Restore(Restore { number: 7, args: vec!["snapshot".into(), "restore".into()], volume }));
    loop {
        if let Message::Restored { number: 7, failed } = agent.hears() {
            return failed;
        }
    }
}

#[test]
fn a_snapshot_is_restored_by_the_images_etcdutl_which_says_why_not() {
    let pod = Pod::new();
    let mut agent = pod.launch();
    agent.rests();
    let missing = restored(&pod, &mut agent, None).unwrap();
    assert!(missing.contains("the image has no etcdutl in its PATH"), "{missing}");
    let why = restored(&pod, &mut agent, Some("echo 'Error: no way' >&2; exit 1"));
    assert_eq!(why.as_deref(), Some("etcdutl cannot restore the snapshot: no way"));
    let (words, environment) = (pod.path("words"), pod.path("environment"));
    let script = format!("echo \"$*\" > {}; env > {}", words.display(), environment.display());
    assert_eq!(restored(&pod, &mut agent, Some(&script)), None);
    assert_eq!(fs::read_to_string(words).unwrap(), "snapshot restore\n");
    assert!(!fs::read_to_string(environment).unwrap().contains("HOME="), "the container's environment is not its own");
    agent.says(&order(1, true));
    agent.runs(0);
    let beside = restored(&pod, &mut agent, None).unwrap();
    assert_eq!(beside, "etcd runs");
}
