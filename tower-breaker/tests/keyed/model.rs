//! Steps of chance against a plain model: a list of entries, of which the least recently used idle one makes room.

use std::collections::HashMap;

use proptest::prelude::*;
use tower_breaker::{CircuitBreaker, Keyed, Permit, State};

use crate::support::breaker;

// As in `support::breaker`.
const LIMIT: u32 = 3;

#[derive(Debug, Clone, Copy)]
enum Step {
    Begin(u8),
    // Of the calls under way, this one ends so.
    End(u8, End),
    Hold(u8),
    LetGo(u8),
    ForceOpen(u8),
    Reset(u8),
    Remove(u8),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Success,
    Failure,
    Ignore,
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![
        3 => Just(End::Success),
        3 => Just(End::Failure),
        1 => Just(End::Ignore),
    ];
    prop_oneof![
        8 => (0..12_u8).prop_map(Step::Begin),
        7 => (any::<u8>(), end).prop_map(|(call, end)| Step::End(call, end)),
        1 => (0..12_u8).prop_map(Step::Hold),
        2 => any::<u8>().prop_map(Step::LetGo),
        1 => (0..12_u8).prop_map(Step::ForceOpen),
        2 => (0..12_u8).prop_map(Step::Reset),
        1 => (0..12_u8).prop_map(Step::Remove),
    ]
}

#[derive(Debug, Clone, Default)]
struct Circuit {
    // Which it is of all that were made.
    id: u64,
    // Another with every transition: results of an earlier one decide nothing.
    episode: u64,
    failures: u32,
    open: bool,
    in_flight: usize,
    handles: usize,
    used: u64,
}

impl Circuit {
    fn begin(&mut self, episode: u64, open: bool) {
        self.episode = episode;
        self.failures = 0;
        self.open = open;
    }

    fn may_go(&self) -> bool {
        !self.open && self.in_flight == 0 && self.handles == 0
    }
}

#[derive(Default)]
struct Model {
    capacity: usize,
    entries: HashMap<u8, Circuit>,
    overflow: Circuit,
    // Goes on with every entry that is made.
    time: u64,
    episodes: u64,
    admitted: u64,
    refused: u64,
    overflowed: u64,
}

impl Model {
    fn episode(&mut self) -> u64 {
        self.episodes += 1;
        self.episodes
    }

    /// The circuit of this key, which must be there; that of the overflow for none.
    fn circuit(&mut self, key: Option<u8>) -> &mut Circuit {
        match key {
            Some(key) => self.entries.get_mut(&key).expect("it has just been used"),
            None => &mut self.overflow,
        }
    }

    /// As `circuit`, if it is still the same.
    fn same(&mut self, key: Option<u8>, id: u64) -> Option<&mut Circuit> {
        let circuit = match key {
            Some(key) => self.entries.get_mut(&key)?,
            None => &mut self.overflow,
        };
        (circuit.id == id).then_some(circuit)
    }

    /// Those of which one must make room: of those that remember least, those that were not used for longest.
    fn victims(&self) -> Vec<u8> {
        let rank = |circuit: &Circuit| (circuit.failures > 0, circuit.used);
        let may_go = || self.entries.iter().filter(|(_, circuit)| circuit.may_go());
        let Some(first) = may_go().map(|(_, circuit)| rank(circuit)).min() else {
            return Vec::new();
        };
        let victims = may_go().filter(|(_, circuit)| rank(circuit) == first);
        victims.map(|(&key, _)| key).collect()
    }

    /// Uses the entry of a key, which is made if need be. `there` says which keys the registry has after that. `false` if it is the
    /// overflow's turn.
    fn use_entry(&mut self, key: u8, there: &[u8]) -> Result<bool, TestCaseError> {
        if !self.entries.contains_key(&key) {
            if self.entries.len() == self.capacity {
                let victims = self.victims();
                if victims.is_empty() {
                    self.overflowed += 1;
                    return Ok(false);
                }
                let gone: Vec<_> = self
                    .entries
                    .keys()
                    .filter(|key| !there.contains(key))
                    .copied()
                    .collect();
                prop_assert_eq!(gone.len(), 1);
                prop_assert!(
                    victims.contains(&gone[0]),
                    "{} went, not one of {:?}",
                    gone[0],
                    victims
                );
                self.entries.remove(&gone[0]);
            }
            self.time += 1;
            let id = self.episode();
            self.entries.insert(
                key,
                Circuit {
                    id,
                    ..Circuit::default()
                },
            );
        }
        self.entries.get_mut(&key).unwrap().used = self.time;
        Ok(true)
    }
}

struct Call {
    permit: Permit,
    // `None` for the overflow guard.
    key: Option<u8>,
    // Of the circuit, which may have been removed, and of its episode.
    id: u64,
    episode: u64,
}

struct Run {
    registry: Keyed<u8, CircuitBreaker>,
    model: Model,
    calls: Vec<Call>,
    handles: Vec<(u8, u64, CircuitBreaker)>,
}

impl Run {
    fn there(&self) -> Vec<u8> {
        self.registry.iter().map(|entry| entry.key).collect()
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Begin(key) => {
                let permit = self.registry.try_acquire(&key);
                let key = self.model.use_entry(key, &self.there())?.then_some(key);
                let circuit = self.model.circuit(key);
                prop_assert_eq!(permit.is_err(), circuit.open);
                match permit {
                    Ok(permit) => {
                        circuit.in_flight += 1;
                        let (id, episode) = (circuit.id, circuit.episode);
                        self.model.admitted += 1;
                        self.calls.push(Call {
                            permit,
                            key,
                            id,
                            episode,
                        });
                    }
                    Err(_) => self.model.refused += 1,
                }
            }
            Step::End(at, end) if !self.calls.is_empty() => {
                let call = self.calls.swap_remove(usize::from(at) % self.calls.len());
                match end {
                    End::Success => call.permit.success(),
                    End::Failure => call.permit.failure(),
                    End::Ignore => call.permit.ignore(),
                }
                let next = self.model.episode();
                let Some(circuit) = self.model.same(call.key, call.id) else {
                    return Ok(());
                };
                circuit.in_flight -= 1;
                if circuit.open || circuit.episode != call.episode {
                    return Ok(());
                }
                match end {
                    End::Success => circuit.failures = 0,
                    End::Failure => circuit.failures += 1,
                    End::Ignore => {}
                }
                if circuit.failures == LIMIT {
                    circuit.begin(next, true);
                }
            }
            Step::Hold(key) => {
                let handle = self.registry.get_or_make(&key);
                if self.model.use_entry(key, &self.there())? {
                    let circuit = self.model.circuit(Some(key));
                    circuit.handles += 1;
                    self.handles.push((key, circuit.id, handle));
                }
            }
            Step::LetGo(at) if !self.handles.is_empty() => {
                let at = usize::from(at) % self.handles.len();
                let (key, id, _) = self.handles.swap_remove(at);
                if let Some(circuit) = self.model.same(Some(key), id) {
                    circuit.handles -= 1;
                }
            }
            Step::ForceOpen(key) | Step::Reset(key) => {
                let guard = self.registry.get(&key);
                prop_assert_eq!(guard.is_some(), self.model.entries.contains_key(&key));
                let next = self.model.episode();
                if let Some(guard) = guard {
                    let open = matches!(step, Step::ForceOpen(_));
                    if open {
                        guard.force_open();
                    } else {
                        guard.reset();
                    }
                    self.model.circuit(Some(key)).begin(next, open);
                }
            }
            Step::Remove(key) => {
                let removed = self.registry.remove(&key).is_some();
                prop_assert_eq!(removed, self.model.entries.remove(&key).is_some());
            }
            Step::End(..) | Step::LetGo(_) => {}
        }
        self.check()
    }

    fn check(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.registry.len(), self.model.entries.len());
        for entry in self.registry.iter() {
            let Some(circuit) = self.model.entries.get(&entry.key) else {
                return Err(TestCaseError::fail(format!("{} is there", entry.key)));
            };
            let snapshot = entry.guard.snapshot();
            prop_assert_eq!(snapshot.state == State::Open, circuit.open);
            prop_assert_eq!(snapshot.consecutive_failures, circuit.failures);
        }
        let totals = self.registry.totals();
        prop_assert_eq!(totals.admitted, self.model.admitted);
        prop_assert_eq!(totals.refused, self.model.refused);
        prop_assert_eq!(self.registry.stats().overflowed, self.model.overflowed);
        Ok(())
    }
}

fn run(capacity: usize, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let registry = Keyed::breakers(|key: &u8| breaker(&key.to_string()))
        .overflow(breaker("overflow"))
        .capacity(capacity)
        .build()
        .map_err(|err| TestCaseError::fail(err.to_string()))?;
    let model = Model {
        capacity,
        ..Model::default()
    };
    let mut run = Run {
        registry,
        model,
        calls: Vec::new(),
        handles: Vec::new(),
    };
    steps.into_iter().try_for_each(|step| run.step(step))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_registry_does_what_a_plain_list_does(
        capacity in 1_usize..8,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        run(capacity, steps)?;
    }
}
