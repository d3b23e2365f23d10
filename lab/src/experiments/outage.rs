//! E1 `outage`: a shop whose product service hangs and fails.
//!
//! Two cart services that differ only in the stack around their product client take the same load at the same time. Each
//! has shoppers of its own: if every shopper used both, those stuck in the one would be missing in the other, and their
//! throughputs could not be compared.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http::Method;
use serde::Deserialize;

use crate::error::LabError;
use crate::experiments::ledger::{Audit, Ledger};
use crate::experiments::results::{Results, degraded_of, observed_states};
use crate::experiments::system::{Hands, Service, described, shipped, url};
use crate::experiments::{Bench, Mode, claims};
use crate::load::{
    Answer, Boundary, Call, Endpoint, Load, Outcome, Phase, Progress, Script, User, Variant, drive,
    reason_of_status,
};
use crate::processes::Running;
use crate::report::model::{self, Beside, Breaker, Comparison, Headline, Setting};
use crate::report::published::{NOTHING, Published, outage as published};
use crate::report::units;

pub const NAME: &str = "outage";
pub const TITLE: &str = "A shop whose product service fails";

const VULNERABLE: usize = 0;
const FIXED: usize = 1;

const ADD: usize = 0;
const VIEW: usize = 1;
const PRODUCT_HEALTH: usize = 2;
const CART_HEALTH: usize = 3;

const HEALTHY: usize = 1;
const FAILURE: usize = 2;
const RECOVERY: usize = 3;

/// The breaker around the product client, named after the upstream it guards.
const BREAKER: &str = "product";

const SHOPPERS_PER_VARIANT: usize = 24;
/// One admin per variant beside its shoppers: 50 users in all, 48 shoppers and 2 admins.
const USERS_PER_VARIANT: usize = SHOPPERS_PER_VARIANT + 1;
const ADD_SHARE: f64 = 0.75;
const PRODUCTS: u32 = 5;

/// What differs between a quick and a full run.
struct Times {
    /// Users that arrive in a second, both variants together.
    arrivals_per_second: f64,
    healthy: Duration,
    failure: Duration,
    recovery: Duration,
    /// The breaker's wait before a trial; `None` leaves the shipped 60 s.
    open_for: Option<Duration>,
    think: (Duration, Duration),
    bucket: Duration,
}

impl Times {
    fn of(mode: Mode) -> Self {
        let seconds = Duration::from_secs;
        let pick = |smoke: Duration, quick: u64, full: u64| {
            mode.pick(smoke, seconds(quick), seconds(full))
        };
        let moment = Duration::from_millis;
        Self {
            arrivals_per_second: mode.pick(200.0, 10.0, 2.0),
            // The write-up gives the users, their pace and the breaker's wait but no length for these; the failure is
            // long enough for one trial to fail, the recovery for the wait to end.
            healthy: pick(seconds(2), 12, 60),
            failure: pick(seconds(4), 20, 120),
            recovery: pick(seconds(3), 12, 90),
            open_for: mode.pick(Some(moment(1000)), Some(seconds(8)), None),
            think: mode.pick(
                (moment(50), moment(150)),
                (seconds(1), seconds(3)),
                (seconds(1), seconds(3)),
            ),
            bucket: mode.pick(moment(250), seconds(1), seconds(2)),
        }
    }

    fn arrivals(&self) -> Duration {
        Duration::from_secs_f64(2.0 * USERS_PER_VARIANT as f64 / self.arrivals_per_second)
    }

    fn phases(&self) -> Vec<Phase> {
        let phase = |name, label, length, fault| Phase {
            name,
            label,
            length,
            fault,
        };
        vec![
            phase("ramp", "users arrive", self.arrivals(), false),
            phase("healthy", "healthy", self.healthy, false),
            phase("failure", "failure", self.failure, true),
            phase("recovery", "recovery", self.recovery, false),
        ]
    }
}

pub fn length(mode: Mode) -> Duration {
    Times::of(mode)
        .phases()
        .iter()
        .map(|phase| phase.length)
        .sum()
}

struct System {
    product: Running,
    carts: [Running; 2],
    gateway: Running,
}

impl System {
    async fn start(bench: &Bench<'_>, times: &Times) -> Result<Self, LabError> {
        let product = Service::new(
            "product-svc",
            "product-svc",
            shipped::PRODUCT,
            "catalog.toml",
        );
        let product = product.start(bench, NAME).await?;
        let cart = |name, config| {
            Service::new(name, "cart-svc", shipped::CART, config)
                .set("product.url", url(&product))
                .set(
                    "store.path",
                    bench.output.scratch(&format!("{name}.db")).display(),
                )
        };
        let vulnerable = cart("cart-vulnerable", "vulnerable.toml")
            .start(bench, NAME)
            .await?;
        let mut fixed = cart("cart-fixed", "fixed.toml");
        if let Some(open_for) = times.open_for {
            fixed = fixed.set(
                "product.breaker.open_for",
                humantime::format_duration(open_for),
            );
        }
        let fixed = fixed.start(bench, NAME).await?;
        let gateway = Service::new("gateway", "gateway", shipped::GATEWAY, "shop.toml")
            .set("upstreams.product.url", url(&product))
            .set("upstreams.cart-vulnerable.url", url(&vulnerable))
            .set("upstreams.cart-fixed.url", url(&fixed));
        let gateway = gateway.start(bench, NAME).await?;
        Ok(Self {
            product,
            carts: [vulnerable, fixed],
            gateway,
        })
    }
}

fn variants() -> Vec<Variant> {
    vec![
        Variant {
            name: "vulnerable",
            label: "unprotected",
            protected: false,
        },
        Variant {
            name: "fixed",
            label: "protected",
            protected: true,
        },
    ]
}

fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            name: "cart/add",
            label: "add to cart",
            counted: true,
        },
        Endpoint {
            name: "cart/view",
            label: "view cart",
            counted: true,
        },
        Endpoint {
            name: "product/health",
            label: "product health (admin)",
            counted: false,
        },
        Endpoint {
            name: "health",
            label: "cart health (admin)",
            counted: false,
        },
    ]
}

fn users(times: &Times, gateway: &Running, ledger: &Ledger) -> Vec<User> {
    (0..2 * USERS_PER_VARIANT)
        .map(|number| {
            // Alternating, so that both variants have the same number of users at any moment.
            let variant = number % 2;
            let script: Box<dyn Script> = if number / 2 == 0 {
                Box::new(Admin {
                    path: format!("/{}", variants()[variant].name),
                    turn: 0,
                })
            } else {
                Box::new(Shopper::new(variant, number, ledger))
            };
            User {
                variant,
                to: gateway.at.http,
                script,
                arrives: Duration::from_secs_f64(number as f64 / times.arrivals_per_second),
                think: times.think.0..=times.think.1,
            }
        })
        .collect()
}

/// Fills a cart and looks at it now and then.
struct Shopper {
    variant: usize,
    id: String,
    arrived: bool,
    ledger: Ledger,
}

impl Shopper {
    fn new(variant: usize, number: usize, ledger: &Ledger) -> Self {
        Self {
            variant,
            id: format!("shopper-{number}"),
            arrived: false,
            ledger: ledger.clone(),
        }
    }
}

/// What both cart endpoints answer, as far as a shopper cares.
#[derive(Deserialize)]
struct CartAnswer {
    user_id: String,
    #[serde(default)]
    degraded: bool,
}

impl Script for Shopper {
    fn next(&mut self, dice: &mut Rng) -> Call {
        let adds = dice.f64() < ADD_SHARE;
        let product = dice.u32(1..=PRODUCTS);
        let variant = variants()[self.variant].name;
        // Nobody looks at a cart before there is one.
        let first = !std::mem::replace(&mut self.arrived, true);
        if adds || first {
            self.ledger.sent(self.variant, &self.id);
            let json = format!(
                r#"{{"user_id":"{}","product_id":{product},"quantity":1}}"#,
                self.id
            );
            let path = format!("/{variant}/cart/add");
            return Call {
                endpoint: ADD,
                method: Method::POST,
                path,
                json: Some(Bytes::from(json)),
            };
        }
        let path = format!("/{variant}/cart/view?user_id={}", self.id);
        Call {
            endpoint: VIEW,
            method: Method::GET,
            path,
            json: None,
        }
    }

    fn judge(&mut self, call: &Call, answer: &Answer) -> Outcome {
        if !answer.status.is_success() {
            return Outcome::Failed(reason_of_status(answer.status));
        }
        if call.endpoint == ADD {
            self.ledger.acknowledged(&self.id);
        }
        match serde_json::from_slice::<CartAnswer>(&answer.body) {
            Ok(cart) if cart.user_id != self.id => {
                Outcome::Failed("another user's cart".to_owned())
            }
            Ok(cart) if cart.degraded => Outcome::Degraded,
            Ok(_) => Outcome::Delivered,
            Err(_) => Outcome::Failed("not a cart".to_owned()),
        }
    }
}

/// Polls, in turns, the health of the product service and of its variant's cart service, which shows the breaker.
struct Admin {
    path: String,
    turn: u64,
}

#[derive(Deserialize)]
struct Health {
    circuit_breaker_state: Option<String>,
}

impl Script for Admin {
    fn next(&mut self, _dice: &mut Rng) -> Call {
        self.turn += 1;
        let (endpoint, path) = match self.turn % 2 {
            0 => (PRODUCT_HEALTH, "/product/health".to_owned()),
            _ => (CART_HEALTH, format!("{}/health", self.path)),
        };
        Call {
            endpoint,
            method: Method::GET,
            path,
            json: None,
        }
    }

    fn judge(&mut self, _call: &Call, answer: &Answer) -> Outcome {
        if answer.status.is_success() {
            Outcome::Delivered
        } else {
            Outcome::Failed(reason_of_status(answer.status))
        }
    }

    fn observe(&self, call: &Call, answer: &Answer) -> Option<String> {
        let is_health = call.endpoint == CART_HEALTH;
        is_health
            .then(|| {
                serde_json::from_slice::<Health>(&answer.body)
                    .ok()?
                    .circuit_breaker_state
            })
            .flatten()
    }
}

pub async fn run(bench: &Bench<'_>) -> Result<model::Experiment, LabError> {
    let began = tokio::time::Instant::now();
    let times = Times::of(bench.mode);
    let system = System::start(bench, &times).await?;
    let hands = Hands::new();
    let ledger = Ledger::default();
    let load = Load {
        variants: variants(),
        endpoints: endpoints(),
        phases: times.phases(),
        users: users(&times, &system.gateway, &ledger),
        seed: bench.seed,
        user_time_out: Duration::from_secs(30),
        bucket: times.bucket,
    };
    let progress = Progress::new(NAME, &load.variants, length(bench.mode), bench.progress);
    let at = system.gateway.at.http;
    let driven = drive(load, &progress, async |boundary| match boundary {
        Boundary::Entered(FAILURE) => hands.switch_failure(at, true).await,
        Boundary::Leaving(FAILURE) => hands.switch_failure(at, false).await,
        _ => Ok(()),
    });
    let measured = bench.supervisor.guard(driven).await?;
    let audits = audit(&hands, at, &ledger).await?;
    let variant = variants()[FIXED].name;
    let mut breaker = hands
        .breaker(
            &system.carts[FIXED],
            BREAKER,
            variant,
            measured.started_unix_ms,
        )
        .await?;
    breaker.observed = observed_states(&measured.observations, FIXED);
    let results = Results {
        variants: variants(),
        endpoints: endpoints(),
        phases: times.phases(),
        measured,
    };
    Ok(model::Experiment {
        name: NAME,
        title: TITLE,
        question: "Product calls hang for up to five seconds and then fail. Can people still fill their carts, and how \
                   long do they wait?"
            .to_owned(),
        wall_seconds: began.elapsed().as_secs_f64(),
        settings: settings(bench, &times),
        processes: [&system.product, &system.carts[0], &system.carts[1], &system.gateway].map(described).to_vec(),
        variants: results.variants(),
        endpoints: results.endpoints(),
        phases: results.phases(),
        figures: results.rows(),
        claims: claims(&results, &breaker, audits),
        published: beside(&results),
        headline: headline(&results),
        timeline: results.timeline(),
        notes: notes(),
        breakers: vec![breaker],
    })
}

/// Looks into every cart and compares it with what its shopper was told.
async fn audit(
    hands: &Hands,
    gateway: SocketAddr,
    ledger: &Ledger,
) -> Result<[Audit; 2], LabError> {
    let mut audits = [Audit::default(); 2];
    for (user, account) in ledger.all() {
        let pieces = hands
            .pieces_in_cart(gateway, variants()[account.variant].name, &user)
            .await?;
        audits[account.variant].enter(account, pieces);
    }
    Ok(audits)
}

fn claims(results: &Results, breaker: &Breaker, audits: [Audit; 2]) -> Vec<model::Claim> {
    let protected = |endpoint, phase| results.of(FIXED, endpoint, phase);
    let window = results
        .measured
        .windows
        .get(FAILURE)
        .copied()
        .unwrap_or_default();
    vec![
        claims::nothing_failed(
            "no protected request failed, neither during the outage nor after it",
            &[
                ("failure", &results.overall(FIXED, FAILURE)),
                ("recovery", &results.overall(FIXED, RECOVERY)),
            ],
        ),
        claims::median_unharmed(
            "during the failure the protected median of adds",
            &protected(ADD, HEALTHY),
            &protected(ADD, FAILURE),
        ),
        claims::median_unharmed(
            "during the failure the protected median of views",
            &protected(VIEW, HEALTHY),
            &protected(VIEW, FAILURE),
        ),
        claims::failed_at_least(
            "unprotected adds during the failure",
            0.6,
            &results.of(VULNERABLE, ADD, FAILURE),
        ),
        claims::states_in_order(&breaker.name, &breaker.transitions, window),
        claims::nothing_lost(&[
            ("unprotected", audits[VULNERABLE]),
            ("protected", audits[FIXED]),
        ]),
    ]
}

fn beside(results: &Results) -> Vec<Comparison> {
    let failed = |variant, endpoint| {
        let figures = results.of(variant, endpoint, FAILURE);
        failed_of(&figures)
    };
    let degraded = |variant| degraded_of(&results.overall(variant, FAILURE));
    let median = |variant| {
        results
            .overall(variant, FAILURE)
            .median()
            .map_or("-".to_owned(), units::millis)
    };
    let throughput =
        |variant| units::per_second(results.overall(variant, FAILURE).requests_per_second);
    let row = |measure, published: Published, ours: &dyn Fn(usize) -> String| Comparison {
        measure,
        unprotected: Beside {
            published: published.unprotected,
            ours: ours(VULNERABLE),
        },
        protected: Beside {
            published: published.protected,
            ours: ours(FIXED),
        },
    };
    vec![
        row("adds failed", published::ADDS_FAILED, &|variant| {
            failed(variant, ADD)
        }),
        row("views failed", published::VIEWS_FAILED, &|variant| {
            failed(variant, VIEW)
        }),
        row("marked as degraded", NOTHING, &degraded),
        row("median response", published::MEDIAN, &median),
        row("throughput", published::THROUGHPUT, &throughput),
    ]
}

/// `65 % (944/1449)`.
fn failed_of(figures: &crate::load::Figures) -> String {
    match figures.failed_share() {
        Some(share) => format!(
            "{} ({}/{})",
            units::share(share),
            figures.failures,
            figures.requests
        ),
        None => "nothing asked".to_owned(),
    }
}

fn headline(results: &Results) -> Vec<Headline> {
    let share = |variant| {
        results
            .of(variant, ADD, FAILURE)
            .failed_share()
            .map_or("-".to_owned(), units::share)
    };
    let median = |variant| {
        results
            .overall(variant, FAILURE)
            .median()
            .map_or("-".to_owned(), units::millis)
    };
    let goodput = |variant| {
        let figures = results.overall(variant, FAILURE);
        units::per_second(figures.requests_per_second - figures.failures_per_second)
    };
    let tile = |measure, of: &dyn Fn(usize) -> String| Headline {
        measure,
        unprotected: of(VULNERABLE),
        protected: of(FIXED),
    };
    vec![
        tile("failed adds to cart", &share),
        tile("median response", &median),
        tile("requests served", &goodput),
    ]
}

fn settings(bench: &Bench<'_>, times: &Times) -> Vec<Setting> {
    let setting = |name, value: String| Setting { name, value };
    let seconds = |duration: Duration| units::seconds(duration.as_secs_f64());
    vec![
        setting(
            "users",
            format!(
                "{} per variant: {SHOPPERS_PER_VARIANT} shoppers and 1 admin",
                USERS_PER_VARIANT
            ),
        ),
        setting(
            "arrivals",
            format!("{} users a second", times.arrivals_per_second),
        ),
        setting(
            "shoppers",
            format!("{} adds, the rest views", units::share(ADD_SHARE)),
        ),
        setting(
            "think time",
            format!("{} to {}", seconds(times.think.0), seconds(times.think.1)),
        ),
        setting(
            "failure",
            "POST /fail/on: product calls hang up to 5 s, then answer 503".to_owned(),
        ),
        setting(
            "breaker wait",
            match times.open_for {
                Some(wait) => format!(
                    "{} (shipped: 60 s; shortened because the run is {})",
                    seconds(wait),
                    bench.mode.name()
                ),
                None => "as shipped: 60 s".to_owned(),
            },
        ),
    ]
}

fn notes() -> Vec<String> {
    [
        "Each variant has 25 users of its own, so that shoppers stuck in the one are not missing in the other. With 1 to 3 s \
         to think, 24 shoppers make at most 12 req/s. The write-up does not say how its 50 users were divided: compare the \
         ratio of its throughputs with ours, not the rates.",
        "Failed requests count in the latencies: their users waited too.",
        "A request belongs to the phase in which it was sent. Rates per second count answers by the phase they came in.",
        "The write-up does not say how long its phases were; the lengths are ours.",
        published::ALONE_NOTE,
    ]
    .map(str::to_owned)
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::dice;

    fn shopper(number: usize) -> Shopper {
        Shopper::new(FIXED, number, &Ledger::default())
    }

    fn calls(seed: u64, number: usize, count: usize) -> Vec<Call> {
        let (mut shopper, mut dice) = (shopper(number), dice(seed, number));
        (0..count).map(|_| shopper.next(&mut dice)).collect()
    }

    #[test]
    fn a_shopper_is_decided_by_seed_and_number() {
        assert_eq!(calls(1, 3, 100), calls(1, 3, 100));
        assert_ne!(calls(1, 3, 100), calls(2, 3, 100));
    }

    #[test]
    fn shoppers_add_three_times_out_of_four_and_begin_with_an_add() {
        let all: Vec<Call> = (0..40).flat_map(|number| calls(1, number, 100)).collect();
        let adds = all.iter().filter(|call| call.endpoint == ADD).count() as f64;
        assert!(
            (0.72..0.79).contains(&(adds / all.len() as f64)),
            "{adds} of {}",
            all.len()
        );
        assert!((0..40).all(|number| calls(1, number, 1)[0].endpoint == ADD));
    }

    #[test]
    fn adds_are_valid_json_for_products_that_exist() {
        for call in calls(5, 0, 200).iter().filter(|call| call.endpoint == ADD) {
            let body: serde_json::Value =
                serde_json::from_slice(call.json.as_ref().unwrap()).unwrap();
            assert_eq!(body["user_id"], "shopper-0");
            assert!((1..=5).contains(&body["product_id"].as_u64().unwrap()));
        }
    }

    #[test]
    fn an_answer_is_judged_by_status_owner_and_mark() {
        let judge = |status: u16, body: &'static str| {
            let answer = Answer {
                status: http::StatusCode::from_u16(status).unwrap(),
                body: body.into(),
            };
            shopper(1).judge(&calls(1, 1, 1)[0], &answer)
        };
        assert_eq!(
            judge(200, r#"{"user_id":"shopper-1","degraded":false}"#),
            Outcome::Delivered
        );
        assert_eq!(
            judge(200, r#"{"user_id":"shopper-1","degraded":true}"#),
            Outcome::Degraded
        );
        assert!(judge(200, r#"{"user_id":"shopper-2","degraded":false}"#).failed());
        assert!(judge(200, "oops").failed());
        assert_eq!(
            judge(503, "{}"),
            Outcome::Failed("503 Service Unavailable".into())
        );
    }

    #[test]
    fn admins_poll_both_healths_and_see_the_breaker() {
        let (mut admin, mut dice) = (
            Admin {
                path: "/fixed".into(),
                turn: 0,
            },
            dice(1, 0),
        );
        let paths: Vec<String> = (0..4).map(|_| admin.next(&mut dice).path).collect();
        assert_eq!(
            paths,
            [
                "/fixed/health",
                "/product/health",
                "/fixed/health",
                "/product/health"
            ]
        );
        let call = Call {
            endpoint: CART_HEALTH,
            method: Method::GET,
            path: String::new(),
            json: None,
        };
        let body = r#"{"status":"healthy","mode":"protected","circuit_breaker_state":"HALF_OPEN"}"#;
        let answer = Answer {
            status: http::StatusCode::OK,
            body: body.into(),
        };
        assert_eq!(admin.observe(&call, &answer).as_deref(), Some("HALF_OPEN"));
    }

    #[test]
    fn a_quick_run_is_short_and_both_variants_get_the_same_users() {
        assert!(length(Mode::Quick) < Duration::from_secs(60));
        let per_variant = |variant| {
            (0..2 * USERS_PER_VARIANT)
                .filter(|number| number % 2 == variant)
                .count()
        };
        assert_eq!((per_variant(0), per_variant(1)), (25, 25));
    }
}
