//! Something far away that is asked: every call to it can go wrong.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::fate::Fate;
use super::fault::{Call, Fault, Part};
use crate::sim::locked;

/// How long what is slow takes.
const SLOW: Duration = Duration::from_secs(2 * 3_600);

/// How many calls later what was given up is done at last, if not at once.
const LATER: u64 = 2;

/// How it is said that something went wrong.
pub trait Trouble: Sized {
    /// A clear answer: nothing was done.
    fn refused() -> Self;
    /// It was not asked. Nothing was done.
    fn unreachable() -> Self;
    /// No answer came. Whether anything was done is not known.
    fn unheard() -> Self;
}

/// Something that is done later than it was asked for.
struct Late<S> {
    effect: Box<dyn FnOnce(&mut S) + Send>,
    /// Whether it takes longer than whoever asked has patience.
    is_stray: bool,
    /// How many calls there are before it, once he has given up.
    due: Option<u64>,
}

/// What a gateway does while it waits.
type Meanwhile = Box<dyn Fn() + Send + Sync>;

/// What is asked, and all that it has. Clones are the same one.
pub struct Far<S> {
    shared: Arc<Shared<S>>,
}

struct Shared<S> {
    part: Part,
    state: Mutex<S>,
    fate: Arc<Fate>,
    /// How long whoever asks waits by himself; without it until he is given up together with all that he does.
    patience: Option<Duration>,
    late: Mutex<Vec<Late<S>>>,
    meanwhile: Mutex<Option<Meanwhile>>,
}

impl<S> Clone for Far<S> {
    fn clone(&self) -> Self {
        Far { shared: self.shared.clone() }
    }
}

impl<S: Send> Far<S> {
    /// Nothing was asked yet.
    pub fn new(part: Part, state: S, fate: Arc<Fate>, patience: Option<Duration>) -> Self {
        let (state, late, meanwhile) = (Mutex::new(state), Mutex::default(), Mutex::default());
        Far { shared: Arc::new(Shared { part, state, fate, patience, late, meanwhile }) }
    }

    /// Looks at what it has.
    pub fn look<T>(&self, at: impl FnOnce(&S) -> T) -> T {
        at(&locked(&self.shared.state))
    }

    /// Says what happens while a call takes long; nothing, with none.
    pub fn meanwhile(&self, what: Option<Meanwhile>) {
        *locked(&self.shared.meanwhile) = what;
    }

    /// Nobody waits any more for what was asked. It is done now, or some calls later.
    pub fn give_up(&self) {
        let calls = self.shared.fate.calls(self.shared.part);
        for late in locked(&self.shared.late).iter_mut() {
            late.due.get_or_insert(if late.is_stray { calls + LATER } else { calls });
        }
        self.arrive_late(calls);
    }

    /// Does what is due after so many calls.
    fn arrive_late(&self, calls: u64) {
        let mut waiting = locked(&self.shared.late);
        let due: Vec<_> = waiting.extract_if(.., |late| late.due.is_some_and(|due| due <= calls)).collect();
        due.into_iter().for_each(|late| (late.effect)(&mut locked(&self.shared.state)));
    }

    /// A call, however it fares. `effect` is told by which number something is to be made wrong, if it is.
    pub async fn call<T, E, F>(&self, call: Call, key: &str, effect: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: Trouble + Send + 'static,
        F: Fn(&mut S, Option<u64>) -> Result<T, E> + Send + 'static,
    {
        let fate = &self.shared.fate;
        fate.travel(call, key).await;
        let fault = fate.arrive(call, key).await;
        self.arrive_late(fate.calls(self.shared.part));
        let done = self.strike(fault, effect).await;
        fate.travel(call, key).await;
        done
    }

    async fn strike<T, E, F>(&self, fault: Option<Fault>, effect: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: Trouble + Send + 'static,
        F: Fn(&mut S, Option<u64>) -> Result<T, E> + Send + 'static,
    {
        let (fate, choice) = (&self.shared.fate, self.shared.fate.choice());
        let perform = |wrong| effect(&mut locked(&self.shared.state), wrong);
        match fault {
            None => perform(None),
            Some(Fault::Error) if choice.is_multiple_of(4) => Err(E::refused()),
            Some(Fault::Error) => Err(E::unreachable()),
            Some(Fault::Lost) => {
                drop(perform(None));
                Err(E::unheard())
            }
            Some(Fault::TimeOut) => {
                if !choice.is_multiple_of(3) {
                    let is_stray = choice % 3 == 1;
                    let effect = Box::new(move |state: &mut S| drop(effect(state, None)));
                    locked(&self.shared.late).push(Late { effect, is_stray, due: None });
                }
                self.wait_in_vain().await;
                Err(E::unheard())
            }
            Some(Fault::Duplicate) => {
                drop(perform(None));
                perform(None)
            }
            Some(Fault::Wrong) => perform(Some(choice)),
            Some(Fault::Slow) => {
                tokio::time::sleep(SLOW).await;
                if let Some(meanwhile) = &*locked(&self.shared.meanwhile) {
                    meanwhile();
                }
                perform(None)
            }
            Some(Fault::Cut) => {
                fate.cut_power();
                std::future::pending().await
            }
            Some(Fault::CutAfter) => {
                drop(perform(None));
                fate.cut_power();
                std::future::pending().await
            }
        }
    }

    /// Waits for an answer that does not come.
    async fn wait_in_vain(&self) {
        let Some(patience) = self.shared.patience else {
            self.shared.fate.hung.notify_one();
            return std::future::pending().await;
        };
        tokio::time::sleep(patience).await;
        self.give_up();
    }
}
