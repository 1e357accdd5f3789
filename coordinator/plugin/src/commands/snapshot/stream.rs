//! The stream itself: the agent's standard output into the part, its standard error for its last words.

use std::time::{Duration, Instant};

use etcd_operator_shared::names::CONTAINER_AGENT;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Status};
use kube::api::AttachParams;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    time::timeout,
};

use super::content::{Content, Whole, told};
use crate::{
    apiserver::connection::Connection,
    failure::{Failure, line},
    part::Part,
    print::units::bytes,
    terminal,
};

/// Pieces are of this size at most, and as much waits on the way.
const PIECE: usize = 1 << 20;
/// etcd sends something all the time; a stream that is silent for so long has ended without a word.
const SILENCE: Duration = Duration::from_secs(60);
/// Between two lines on how far it is, where it is not drawn.
const OFTEN: Duration = Duration::from_secs(5);
/// Between two drawings.
const DRAWN: Duration = Duration::from_millis(200);

/// Streams the snapshot of a member into the part, and judges it. `expected`: as many bytes, about.
///
/// # Errors
/// When it does not come whole and right.
pub async fn stream(to: &Connection, member: &str, expected: Option<i64>, part: &mut Part) -> Result<Whole, Failure> {
    let params = AttachParams {
        container: Some(CONTAINER_AGENT.to_owned()),
        stdin: false,
        stdout: true,
        stderr: true,
        max_stdout_buf_size: Some(PIECE),
        ..AttachParams::default()
    };
    let command = ["/etcd-agent", "snapshot", "save", "-"];
    let pods = to.api::<Pod>();
    let started = timeout(SILENCE, pods.exec(member, command, &params)).await;
    let mut process = match started {
        Ok(started) => started.map_err(|error| Failure::writing(&format!("run a command in pod {member}"), &error))?,
        Err(_) => return Err(silent(member)),
    };
    let ended = process.take_status();
    let (Some(out), Some(err)) = (process.stdout(), process.stderr()) else {
        return Err(Failure::Failed(format!("pod {member} has no output to read")));
    };
    // Where nothing can be written any more, nobody waits for the agent's last words.
    let received = tokio::try_join!(receive(out, member, expected, part), async { Ok(listen(err).await) });
    if terminal::draws() {
        terminal::draw("");
    }
    let (content, words) = received?;
    judge(content, status(ended).await.as_ref(), &words, member)
}

async fn status(ended: Option<impl Future<Output = Option<Status>>>) -> Option<Status> {
    timeout(SILENCE, ended?).await.ok().flatten()
}

/// All of its standard output.
async fn receive(
    mut out: impl AsyncRead + Unpin,
    member: &str,
    expected: Option<i64>,
    part: &mut Part,
) -> Result<Content, Failure> {
    let (mut content, mut progress) = (Content::default(), Progress::new(expected));
    let mut piece = vec![0; PIECE];
    loop {
        let count = match timeout(SILENCE, out.read(&mut piece)).await {
            Ok(read) => {
                read.map_err(|error| Failure::Failed(format!("the stream from {member} broke off: {error}")))?
            }
            Err(_) => return Err(silent(member)),
        };
        if count == 0 {
            return Ok(content);
        }
        part.put(&piece[..count])?;
        content.pass(&piece[..count]);
        progress.tell(content.bytes());
    }
}

/// The lines of its standard error but those on how far it is.
async fn listen(err: impl AsyncRead + Unpin) -> Vec<String> {
    let mut lines = BufReader::new(err).lines();
    let mut said = vec![];
    while let Ok(Some(line)) = lines.next_line().await {
        if !line.ends_with(" MiB") {
            said.push(line);
        }
    }
    said
}

/// What the command said of itself counts before what came of it.
fn judge(content: Content, status: Option<&Status>, words: &[String], member: &str) -> Result<Whole, Failure> {
    let failed = status.is_some_and(|status| status.status.as_deref() != Some("Success"));
    if failed {
        let kubelet = status.and_then(|status| status.message.clone()).unwrap_or_default();
        let why = if words.is_empty() { kubelet } else { words.join(" ") };
        return Err(Failure::Failed(format!("{member} could not save it: {}", line(&why))));
    }
    let whole = content.end()?;
    match words.iter().find_map(|line| told(line)) {
        Some(told) if told != whole => Err(Failure::Failed(format!(
            "{} bytes came of the {} that {member} has sent, or others: nothing was saved",
            whole.bytes, told.bytes
        ))),
        Some(_) | None => Ok(whole),
    }
}

fn silent(member: &str) -> Failure {
    Failure::Failed(format!("nothing has come from {member} for {} s: nothing was saved", SILENCE.as_secs()))
}

/// How far it is, for whoever looks at it: drawn on a terminal, told in lines elsewhere.
struct Progress {
    expected: Option<i64>,
    said: Instant,
}

impl Progress {
    fn new(expected: Option<i64>) -> Self {
        Self { expected, said: Instant::now() }
    }

    fn tell(&mut self, count: u64) {
        let due = if terminal::draws() { DRAWN } else { OFTEN };
        if self.said.elapsed() < due {
            return;
        }
        self.said = Instant::now();
        let text = bar(count, self.expected);
        if terminal::draws() { terminal::draw(&text) } else { terminal::remark(&text) }
    }
}

/// The size is rounded, and etcd writes on: a bar is never full before its end.
fn bar(count: u64, expected: Option<i64>) -> String {
    const WIDTH: u64 = 30;
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    match expected.filter(|expected| *expected > 0) {
        Some(expected) => {
            let filled = (WIDTH as i64 * count / expected).clamp(0, WIDTH as i64 - 1) as usize;
            let rest = WIDTH as usize - filled;
            format!("[{}{}] {} of about {}", "=".repeat(filled), " ".repeat(rest), bytes(count), bytes(expected))
        }
        None => bytes(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    fn empty() -> Content {
        Content::default()
    }

    #[test]
    fn what_the_agent_says_is_told_before_what_is_missing() {
        let failed =
            Status { status: Some("Failure".into()), message: Some("exit code 1".into()), ..Status::default() };
        let words = ["etcd-agent: etcd does not answer".to_owned()];
        let failure = judge(empty(), Some(&failed), &words, "demo-1").unwrap_err();
        assert_eq!(failure.to_string(), "demo-1 could not save it: etcd-agent: etcd does not answer");
        let silent = judge(empty(), Some(&failed), &[], "demo-1").unwrap_err();
        assert!(silent.to_string().ends_with("exit code 1"));
        assert_eq!(judge(empty(), None, &[], "demo-1").unwrap_err().verdict(), Verdict::Failed);
    }

    #[test]
    fn a_bar_is_never_full_before_its_end() {
        assert_eq!(bar(1 << 20, Some(2 << 20)), "[===============               ] 1Mi of about 2Mi");
        assert!(bar(9 << 20, Some(2 << 20)).contains(" ]"));
        assert_eq!(bar(512, None), "512");
    }
}
