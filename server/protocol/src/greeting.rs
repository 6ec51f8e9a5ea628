//! What two ends of different age agree on.

use crate::MINOR;
use crate::code::Code;
use crate::message::{Failed, Hello, Welcome};

/// Bytes of what a client says it is, at most.
const AGENT_BYTES: usize = 128;

/// What an end can speak, or what two agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The minor version: all up to it, or the one agreed on.
    pub minor: u16,
    /// Features, one bit each.
    pub features: u64,
}

impl Terms {
    /// What this build can speak.
    pub const OURS: Terms = Terms { minor: MINOR, features: 0 };

    /// As a server: what to speak with a client that greets so.
    pub fn agree(self, hello: &Hello) -> Result<Terms, Failed> {
        if hello.agent.len() > AGENT_BYTES {
            let said = format!("the agent of a greeting has {} bytes, the limit is {AGENT_BYTES}", hello.agent.len());
            return Err(Failed::new(Code::Limit, said));
        }
        Ok(Terms { minor: self.minor.min(hello.minor), features: self.features & hello.features })
    }

    /// As a client: what to speak with a server that answers so. It has to be something that was offered.
    pub fn accept(self, welcome: &Welcome) -> Result<Terms, Failed> {
        let unknown = welcome.features & !self.features;
        if welcome.minor > self.minor || unknown != 0 {
            let said = format!(
                "the server chose version 1.{} and features {:#x}, offered were 1.{} and {:#x}",
                welcome.minor, welcome.features, self.minor, self.features
            );
            return Err(Failed::new(Code::Version, said));
        }
        Ok(Terms { minor: welcome.minor, features: welcome.features })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(minor: u16, features: u64) -> Hello {
        Hello { minor, features, agent: "test".to_owned() }
    }

    fn welcome(Terms { minor, features }: Terms) -> Welcome {
        let (gateway, principal) = Default::default();
        Welcome { minor, features, gateway, principal, bulk_bytes: 0, streams: 0, wall_micros: 0 }
    }

    #[test]
    fn ends_of_different_age_speak_what_both_know() {
        let (old, new) = (Terms { minor: 0, features: 0b01 }, Terms { minor: 1, features: 0b11 });
        for (client, server) in [(old, new), (new, old), (old, old)] {
            let agreed = server.agree(&hello(client.minor, client.features)).unwrap();
            assert_eq!(agreed, old);
            assert_eq!(client.accept(&welcome(agreed)), Ok(old));
        }
        assert_eq!(new.agree(&hello(u16::MAX, u64::MAX)), Ok(new), "a client of the future");
    }

    #[test]
    fn a_server_chooses_nothing_that_was_not_offered() {
        let ours = Terms { minor: 1, features: 0b01 };
        for chosen in [Terms { minor: 2, features: 0 }, Terms { minor: 1, features: 0b10 }] {
            assert_eq!(ours.accept(&welcome(chosen)).unwrap_err().code(), Code::Version);
        }
    }

    #[test]
    fn an_agent_says_little() {
        let mut hello = hello(0, 0);
        hello.agent = "x".repeat(128);
        assert!(Terms::OURS.agree(&hello).is_ok());
        hello.agent.push('x');
        assert_eq!(Terms::OURS.agree(&hello).unwrap_err().code(), Code::Limit);
    }
}
