//! The handle of an upstream's endpoints: what is known of them, and its publication.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use arc_swap::{ArcSwap, Cache};
use tower_breaker::BuildError;

use super::{
    balance::{Balancer, NoneAvailable, Picked, Wanted, consistent_hash::Ring},
    ejection,
    endpoint::{DRAINING, Endpoint, EndpointKey, EndpointSpec, OUT, UNHEALTHY},
    group::Member,
    moment::Moment,
    report::Report,
    set::{EndpointSet, Live},
};
use crate::config::model;

/// How an upstream's endpoints are used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The upstream's name, for its circuits'.
    pub name: Arc<str>,
    /// Where this gateway stands.
    pub zone: Option<Arc<str>>,
    /// How an endpoint is chosen.
    pub balancer: model::Balancer,
    /// How long a new endpoint's share grows; zero for at once.
    pub slow_start: Duration,
    /// When an endpoint is left out because of how its requests went.
    pub ejection: Option<model::Ejection>,
}

impl Settings {
    /// What the configuration says of an upstream, for a gateway in `zone`.
    pub fn of(upstream: &model::Upstream, zone: Option<Arc<str>>) -> Self {
        Self {
            name: upstream.name.clone(),
            zone,
            balancer: upstream.balancer.clone(),
            slow_start: upstream.slow_start,
            ejection: upstream.ejection.clone(),
        }
    }
}

/// The endpoints of an upstream. Clones share them.
#[derive(Debug, Clone)]
pub struct Endpoints {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    settings: Settings,
    current: ArcSwap<EndpointSet>,
    pub(super) live: Arc<Live>,
    // Taken by what changes the set, never by a request (but for the one whose result opens or closes a circuit), and never while
    // something is done to a circuit, which may call back.
    book: Mutex<Book>,
}

/// What a snapshot is made from.
#[derive(Debug, Default)]
pub(super) struct Book {
    version: u64,
    pub(super) members: Vec<Member>,
    leaving: Vec<Arc<Endpoint>>,
    ring: Option<Arc<Ring>>,
}

impl Endpoints {
    /// Without any. Fails if no circuit can be built as the settings say.
    pub fn new(settings: Settings) -> Result<Self, BuildError> {
        if let Some(config) = &settings.ejection {
            ejection::check(&settings.name, config)?;
        }
        let live = Arc::new(Live::default());
        let empty = EndpointSet::new(0, &[], None, &settings, live.clone());
        Ok(Self {
            shared: Arc::new(Shared {
                current: ArcSwap::from_pointee(empty),
                book: Mutex::default(),
                settings,
                live,
            }),
        })
    }

    /// Says which endpoints there are from now on. What is known of those that stay is kept; those that are new begin slowly, unless
    /// there were none before; those that are not named any more get no new requests. Of several with the same key the first
    /// counts.
    pub fn update(&self, specs: impl IntoIterator<Item = EndpointSpec>) {
        self.shared.update(specs);
    }

    /// The snapshot of this moment.
    pub fn load(&self) -> Arc<EndpointSet> {
        self.shared.current.load_full()
    }

    /// A view for one worker, which looks for a new snapshot at the price of one load.
    pub fn reader(&self) -> Reader {
        Reader {
            cache: Cache::new(Published(self.shared.clone())),
        }
    }

    /// What there is to show.
    pub fn report(&self) -> Report {
        self.shared.report()
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }
}

/// One worker's view of an upstream's endpoints.
#[derive(Debug)]
pub struct Reader {
    cache: Cache<Published, Arc<EndpointSet>>,
}

#[derive(Debug, Clone)]
struct Published(Arc<Shared>);

impl Deref for Published {
    type Target = ArcSwap<EndpointSet>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0.current
    }
}

impl Reader {
    /// The snapshot of this moment.
    #[inline]
    pub fn load(&mut self) -> &Arc<EndpointSet> {
        self.cache.load()
    }

    /// Picks from it. If there is none to pick, from the next one, if there is one by now: so that no request fails because all
    /// endpoints changed at that moment.
    #[inline]
    pub fn pick(
        &mut self,
        balancer: &mut Balancer,
        wanted: Wanted<'_>,
        now: Moment,
    ) -> Result<Picked, NoneAvailable> {
        let set = self.cache.load();
        match balancer.pick(set, wanted, now) {
            Ok(picked) => Ok(picked),
            Err(_) => {
                let seen = set.version();
                self.pick_again(balancer, wanted, now, seen)
            }
        }
    }

    #[cold]
    fn pick_again(
        &mut self,
        balancer: &mut Balancer,
        wanted: Wanted<'_>,
        now: Moment,
        mut seen: u64,
    ) -> Result<Picked, NoneAvailable> {
        loop {
            let set = self.cache.load();
            let picked = balancer.pick(set, wanted, now);
            if picked.is_ok() || set.version() == seen {
                return picked;
            }
            seen = set.version();
        }
    }
}

impl Shared {
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn current(&self) -> Arc<EndpointSet> {
        self.current.load_full()
    }

    // Nothing panics while the lock is held; if it did, what is in the book would still be better than nothing.
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(self: &Arc<Self>, specs: impl IntoIterator<Item = EndpointSpec>) {
        // In the order of their keys, whatever order they come in: nothing changes if only that does. And before the lock is taken:
        // where they come from is the caller's.
        let mut named: BTreeMap<EndpointKey, EndpointSpec> = BTreeMap::new();
        for spec in specs {
            named.entry(spec.key.clone()).or_insert(spec);
        }
        let now = Moment::now();
        let mut book = self.book();
        if book.is_named(&named) {
            return;
        }
        let mut before: HashMap<EndpointKey, Member> = mem::take(&mut book.members)
            .into_iter()
            .map(|member| (member.endpoint.key().clone(), member))
            .collect();
        let slowly = (!before.is_empty() && !self.settings.slow_start.is_zero()).then_some(now);
        for (key, spec) in named {
            let known = before.remove(&key).map(|member| member.endpoint);
            let endpoint = known
                .or_else(|| book.returned(&key))
                .unwrap_or_else(|| ejection::endpoint(self, key, slowly));
            book.members.push(Member {
                endpoint,
                weight: spec.weight.max(1),
                zone: spec.zone,
            });
        }
        book.ring = None;
        let brought_back = self.keep_enough(&book, None, now);
        self.publish(&mut book);
        // Not before: workers may have nothing but these until they see the new ones.
        for member in before.into_values() {
            member.endpoint.set_flags(DRAINING);
            book.leaving.push(member.endpoint);
        }
        drop(book);
        ejection::forgive(brought_back);
    }

    /// An active check has found something else than before.
    pub(super) fn health_changed(&self, endpoint: &Endpoint, is_healthy: bool) {
        let now = Moment::now();
        let mut book = self.book();
        // Two checks of the same endpoint may have come at the same time.
        if endpoint.is_healthy() == is_healthy {
            return;
        }
        let brought_back = if is_healthy {
            self.begin_slowly(endpoint, now);
            endpoint.latency().forget();
            endpoint.clear_flags(UNHEALTHY);
            // It may be ejected, and the only one that is well.
            self.keep_enough(&book, None, now)
        } else {
            // Before it goes: there is always one.
            let brought_back = self.keep_enough(&book, Some(endpoint.id()), now);
            endpoint.set_flags(UNHEALTHY);
            brought_back
        };
        self.publish(&mut book);
        drop(book);
        ejection::forgive(brought_back);
    }

    pub(super) fn begin_slowly(&self, endpoint: &Endpoint, now: Moment) {
        if !self.settings.slow_start.is_zero() {
            endpoint.begin_slowly(now);
        }
    }

    /// Makes a snapshot of the book.
    pub(super) fn publish(&self, book: &mut Book) {
        book.version += 1;
        if matches!(self.settings.balancer, model::Balancer::ConsistentHash(_)) {
            let members = &book.members;
            book.ring
                .get_or_insert_with(|| Arc::new(Ring::new(members)));
        }
        let live = self.live.clone();
        let set = EndpointSet::new(
            book.version,
            &book.members,
            book.ring.clone(),
            &self.settings,
            live,
        );
        self.current.store(Arc::new(set));
        self.schedule_trials(book);
    }

    /// Works out when a trial is due.
    pub(super) fn schedule_trials(&self, book: &Book) {
        let next = book
            .members
            .iter()
            .filter(|member| member.endpoint.flags() == OUT)
            .map(|member| member.endpoint.trial_at())
            .min()
            .unwrap_or(Moment::NEVER);
        self.live
            .next_trial
            .store(next.as_nanos(), Ordering::Relaxed);
    }
}

impl Book {
    // Whether these are the members, as they are: what discovery finds mostly.
    fn is_named(&self, named: &BTreeMap<EndpointKey, EndpointSpec>) -> bool {
        self.members.len() == named.len()
            && self
                .members
                .iter()
                .zip(named.values())
                .all(|(member, spec)| {
                    *member.endpoint.key() == spec.key
                        && member.weight == spec.weight.max(1)
                        && member.zone == spec.zone
                })
    }

    // One that is named again while its last requests are still under way is the one it was.
    fn returned(&mut self, key: &EndpointKey) -> Option<Arc<Endpoint>> {
        self.forget_the_gone();
        let place = self
            .leaving
            .iter()
            .position(|endpoint| endpoint.key() == key)?;
        let endpoint = self.leaving.swap_remove(place);
        endpoint.clear_flags(DRAINING);
        Some(endpoint)
    }

    /// Those that have left, and whose last requests are still under way.
    pub(super) fn leaving(&mut self) -> &[Arc<Endpoint>] {
        self.forget_the_gone();
        &self.leaving
    }

    fn forget_the_gone(&mut self) {
        self.leaving.retain(|endpoint| endpoint.in_flight() > 0);
    }
}
