//! How a command ends when it does not end well: one line on stderr and an exit code.

use std::io;
use std::process::ExitCode;

use alluvium::{Error, ErrorKind};

/// The result of every command.
pub(crate) type Outcome<T = ()> = std::result::Result<T, Failure>;

/// Why a command stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong: exit code 2.
    Usage(String),
    /// What was asked for could not be done: exit code 1.
    Failed(String),
    /// The engine could not do it: exit code 1.
    Engine(Error),
    /// Nobody reads our output any more, as with `| head`. Not worth a word.
    BrokenPipe,
}

impl Failure {
    /// A wrong command line. The message says what to write instead.
    pub(crate) fn usage(message: impl ToString) -> Self {
        Failure::Usage(message.to_string())
    }

    /// A failure. The message says what to do next.
    pub(crate) fn failed(message: impl ToString) -> Self {
        Failure::Failed(message.to_string())
    }

    /// An engine error on a request made up from the command line: what is wrong with the request is wrong usage.
    pub(crate) fn of_request(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Input => Failure::usage(error),
            _ => error.into(),
        }
    }

    /// The operating system's refusal to do something to `what`.
    pub(crate) fn io(action: &str, what: impl std::fmt::Display, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::Failed(format!("cannot {action} {what}: {error}")),
        }
    }

    /// With more to be said of it.
    pub(crate) fn with(self, more: impl std::fmt::Display) -> Self {
        match self {
            Failure::Usage(message) => Failure::Usage(format!("{message}; {more}")),
            Failure::Failed(message) => Failure::Failed(format!("{message}; {more}")),
            Failure::Engine(error) => Failure::Failed(format!("{error}; {more}")),
            Failure::BrokenPipe => Failure::BrokenPipe,
        }
    }

    /// Says it on stderr, in one line, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (message, code) = match self {
            Failure::Usage(message) => (message, 2),
            Failure::Failed(message) => (message, 1),
            Failure::Engine(error) => (error.to_string(), 1),
            Failure::BrokenPipe => return ExitCode::SUCCESS,
        };
        // Not eprintln!: it panics where stderr is closed.
        let _ = io::Write::write_all(&mut io::stderr(), format!("alluvium: {}\n", one_line(&message)).as_bytes());
        ExitCode::from(code)
    }
}

/// Errors while writing to stdout or to a result file.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::io("write", "the output", &error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            other => Failure::Engine(other),
        }
    }
}

impl From<arrow::error::ArrowError> for Failure {
    fn from(error: arrow::error::ArrowError) -> Self {
        match error {
            arrow::error::ArrowError::IoError(_, source) => source.into(),
            error => Failure::failed(error),
        }
    }
}

/// Joins the lines of a message, and spells out what a terminal might obey.
fn one_line(message: &str) -> String {
    let joined = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let mut out = String::with_capacity(joined.len());
    for c in joined.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(one_line("cannot read x:\n  no such\n\nfile\n"), "cannot read x: no such file");
        assert_eq!(one_line("no \u{1b}[31m"), "no \\u{1b}[31m");
    }

    #[test]
    fn a_broken_pipe_is_no_error() {
        let pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(matches!(Failure::from(pipe()), Failure::BrokenPipe));
        assert!(matches!(Failure::from(arrow::error::ArrowError::IoError(String::new(), pipe())), Failure::BrokenPipe));
        assert!(matches!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)), Failure::Failed(_)));
    }

    #[test]
    fn what_is_wrong_with_a_request_is_wrong_usage() {
        assert!(matches!(Failure::of_request(Error::invalid("no")), Failure::Usage(_)));
        assert!(matches!(Failure::of_request(Error::NoSuchTable { name: "x".into() }), Failure::Engine(_)));
    }
}
