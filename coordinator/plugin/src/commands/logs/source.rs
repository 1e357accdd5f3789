//! The lines of one container, with the times that kubelet has noted before them.

use std::pin::Pin;

use futures::{
    StreamExt,
    io::{AsyncBufRead, AsyncBufReadExt, Lines},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;

use super::Wanted;
use crate::{
    apiserver::connection::{Connection, read},
    failure::Failure,
};

/// One line of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub at: Timestamp,
    pub pod: String,
    pub container: String,
    pub text: String,
}

impl Line {
    #[must_use]
    pub fn print(&self) -> String {
        format!("{} {:<5} | {}\n", self.pod, self.container, self.text)
    }
}

/// Whether what is there is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Past,
    /// Lines that come, too. After a break: those behind this time.
    Future {
        after: Option<Timestamp>,
    },
}

type Body = Pin<Box<dyn AsyncBufRead + Send>>;

/// The lines of one container.
pub struct Source {
    pod: String,
    container: String,
    lines: Lines<Body>,
    last: Timestamp,
    after: Option<Timestamp>,
}

impl Source {
    /// # Errors
    /// When the container has no log, as one that has not started.
    pub async fn open(
        to: &Connection,
        pod: &str,
        container: &str,
        wanted: &Wanted,
        reach: Reach,
    ) -> Result<Self, Failure> {
        let after = match reach {
            Reach::Past => None,
            Reach::Future { after } => after,
        };
        let params = LogParams {
            container: Some(container.to_owned()),
            follow: matches!(reach, Reach::Future { .. }),
            timestamps: true,
            // The API server counts whole seconds: of the second that was broken off, lines come twice and are dropped
            // here.
            since_time: after,
            since_seconds: wanted
                .since
                .filter(|_| after.is_none())
                .map(|since| i64::try_from(since.as_secs().max(1)).unwrap_or(i64::MAX)),
            tail_lines: wanted.tail.filter(|_| after.is_none()).map(i64::from),
            ..LogParams::default()
        };
        let api = to.api::<Pod>();
        let stream = read(&format!("the log of {pod}, container {container}"), api.log_stream(pod, &params)).await?;
        let body: Body = Box::pin(stream);
        let (pod, container) = (pod.to_owned(), container.to_owned());
        Ok(Self { pod, container, lines: body.lines(), last: Timestamp::UNIX_EPOCH, after })
    }

    /// The next line; `None` at the end, or where the connection ends.
    pub async fn next(&mut self) -> Option<Line> {
        loop {
            let (at, text) = split(&self.lines.next().await?.ok()?);
            self.last = at.unwrap_or(self.last);
            if self.after.is_none_or(|after| self.last > after) {
                let (pod, container) = (self.pod.clone(), self.container.clone());
                return Some(Line { at: self.last, pod, container, text });
            }
        }
    }
}

/// Kubelet's time before a line, and the line.
fn split(line: &str) -> (Option<Timestamp>, String) {
    match line.split_once(' ') {
        Some((time, text)) => match time.parse() {
            Ok(at) => (Some(at), text.to_owned()),
            Err(_) => (None, line.to_owned()),
        },
        None => (line.parse().ok(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_taken_off_the_line() {
        let (at, text) = split("2026-11-27T12:00:00.123456789Z {\"level\":\"info\"}");
        assert_eq!(
            (at.unwrap().to_string().as_str(), text.as_str()),
            ("2026-11-27T12:00:00.123456789Z", "{\"level\":\"info\"}")
        );
        assert_eq!(split("no time here"), (None, "no time here".to_owned()));
    }
}
