//! Measurements in child processes: each store has a process of its own, so that memory, CPU time and written bytes are its
//! own, and only one of them runs at a time.
//!
//! The parent asks and the child answers, a line of JSON each. Between answers a child is stopped (SIGSTOP): its background
//! work neither disturbs the others nor gets ahead at no cost.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Name of the hidden subcommand that runs a child.
pub(crate) const SUBCOMMAND: &str = "child";

/// An answer as it travels.
#[derive(Serialize, Deserialize)]
enum Reply<T> {
    Done(T),
    Failed(String),
}

/// A running child, killed when dropped.
pub(crate) struct Child {
    name: String,
    process: Process,
    requests: ChildStdin,
    replies: BufReader<ChildStdout>,
}

impl Child {
    /// Starts this program again to do `job`, and waits until it is ready.
    pub(crate) fn start(name: impl Into<String>, job: &impl Serialize) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let mut process = Command::new(program)
            .args([SUBCOMMAND, &serde_json::to_string(job)?])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a child process")?;
        let requests = process.stdin.take().context("a child without stdin")?;
        let replies = BufReader::new(process.stdout.take().context("a child without stdout")?);
        let mut child = Child { name: name.into(), process, requests, replies };
        child.read_reply::<()>()?;
        child.signal(Signal::STOP)?;
        Ok(child)
    }

    /// Asks for something and waits for the answer; the child is stopped again afterwards.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, request: &impl Serialize) -> Result<T> {
        self.tell(request)?;
        let reply = self.read_reply()?;
        self.signal(Signal::STOP)?;
        Ok(reply)
    }

    /// Asks for something, and goes on at once, as the child does.
    pub(crate) fn tell(&mut self, request: &impl Serialize) -> Result<()> {
        self.signal(Signal::CONT)?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.requests.write_all(&line).with_context(|| format!("{} has ended", self.name))
    }

    /// Kills it with SIGKILL, as a power cut would as far as the process can tell, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.process.kill().with_context(|| format!("cannot kill {}", self.name))?;
        self.process.wait().with_context(|| format!("cannot wait for {}", self.name))?;
        Ok(())
    }

    fn read_reply<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.replies.read_line(&mut line)? == 0 {
            bail!("{} ended without an answer", self.name);
        }
        match serde_json::from_str(&line).with_context(|| format!("{} answered {line:?}", self.name))? {
            Reply::Done(value) => Ok(value),
            Reply::Failed(message) => Err(anyhow!("{}: {message}", self.name)),
        }
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.process.id().cast_signed()).context("a child without a process id")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The child's side: says that it is ready, then answers every request until the parent closes the pipe.
pub(crate) fn serve<Q: DeserializeOwned, A: Serialize>(mut answer: impl FnMut(Q) -> Result<A>) -> Result<()> {
    reply(&Reply::Done(()))?;
    for line in std::io::stdin().lines() {
        let request = serde_json::from_str(&line?).context("a request that is not understood")?;
        match answer(request) {
            Ok(value) => reply(&Reply::Done(value))?,
            Err(error) => return reply(&Reply::<()>::Failed(format!("{error:#}"))),
        }
    }
    Ok(())
}

/// Tells the parent that the child could not begin.
pub(crate) fn failed(error: &anyhow::Error) -> Result<()> {
    reply(&Reply::<()>::Failed(format!("{error:#}")))
}

fn reply(reply: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, reply)?;
    out.write_all(b"\n")?;
    out.flush().context("the parent is gone")
}
