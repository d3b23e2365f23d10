//! E2 `gateway`: one optional dependency hangs.
//!
//! Two gateways, v1 without and v2 with protection, join the same product and recommendations services. The
//! recommendations, which nobody needs in order to buy, hang and then answer 408.

use std::time::Duration;

use fastrand::Rng;
use http::Method;
use serde::Deserialize;

use crate::error::LabError;
use crate::experiments::results::{Results, degraded_of};
use crate::experiments::system::{Hands, Service, described, shipped, url};
use crate::experiments::{Bench, Mode, claims};
use crate::load::{
    Answer, Boundary, Call, Endpoint, Load, Outcome, Phase, Progress, Script, User, Variant, drive,
    reason_of_status,
};
use crate::processes::Running;
use crate::report::model::{self, Beside, Breaker, Comparison, Headline, Setting};
use crate::report::published::{NOTHING, Published, gateway as published};
use crate::report::units;

pub const NAME: &str = "gateway";
pub const TITLE: &str = "A gateway with one optional dependency that hangs";

const V1: usize = 0;
const V2: usize = 1;

const DETAILS: usize = 0;

const HEALTHY: usize = 1;
const FAILURE: usize = 2;
const RECOVERY: usize = 3;

/// The breaker around the recommendations, named after the upstream it guards.
const BREAKER: &str = "recommendations";

/// v2's time-out of a recommendations call, as shipped. Set all the same: the claim about slow calls relies on it.
const V2_TIME_OUT: Duration = Duration::from_secs(1);

const PRODUCTS: u32 = 5;

struct Times {
    users_per_variant: usize,
    /// Users that arrive at each gateway in a second.
    arrivals_per_second: f64,
    healthy: Duration,
    failure: Duration,
    recovery: Duration,
    /// How long the recommendations hang before they answer 408, and v1's time-out.
    hang: Duration,
    v2_time_out: Duration,
    /// v2's wait before a trial.
    open_for: Duration,
    think: (Duration, Duration),
    bucket: Duration,
}

impl Times {
    fn of(mode: Mode) -> Self {
        let (seconds, moment) = (Duration::from_secs, Duration::from_millis);
        let think = (seconds(1), seconds(2));
        Self {
            users_per_variant: mode.pick(20, 100, 100),
            arrivals_per_second: mode.pick(200.0, 25.0, 10.0),
            healthy: mode.pick(seconds(2), seconds(8), seconds(30)),
            failure: mode.pick(seconds(4), seconds(20), seconds(120)),
            recovery: mode.pick(seconds(3), seconds(10), seconds(60)),
            hang: mode.pick(seconds(2), seconds(3), seconds(30)),
            v2_time_out: mode.pick(moment(300), V2_TIME_OUT, V2_TIME_OUT),
            open_for: mode.pick(seconds(1), seconds(5), seconds(5)),
            think: mode.pick((moment(50), moment(150)), think, think),
            bucket: mode.pick(moment(250), seconds(1), seconds(2)),
        }
    }

    fn phases(&self) -> Vec<Phase> {
        let arrivals =
            Duration::from_secs_f64(self.users_per_variant as f64 / self.arrivals_per_second);
        let phase = |name, label, length, fault| Phase {
            name,
            label,
            length,
            fault,
        };
        vec![
            phase("ramp", "users arrive", arrivals, false),
            phase("healthy", "healthy", self.healthy, false),
            phase("failure", "failure", self.failure, true),
            phase("recovery", "recovery", self.recovery, false),
        ]
    }

    /// A little below the time-out: what a timer fires early by, and what clocks differ by.
    fn slow(&self) -> Duration {
        self.v2_time_out.mul_f64(0.9)
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
    recommendations: Running,
    gateways: [Running; 2],
}

impl System {
    async fn start(bench: &Bench<'_>, times: &Times) -> Result<Self, LabError> {
        let time = |duration| humantime::format_duration(duration).to_string();
        let product = Service::new(
            "product-svc",
            "product-svc",
            shipped::PRODUCT,
            "catalog.toml",
        );
        let product = product.start(bench, NAME).await?;
        let recommendations = Service::new(
            "recommendations",
            "product-svc",
            shipped::PRODUCT,
            "recommendations.toml",
        )
        .set("faults.rule.0.delay", time(times.hang))
        .set("faults.rule.0.delay_max", time(times.hang));
        let recommendations = recommendations.start(bench, NAME).await?;
        let gateway = |name, config| {
            Service::new(name, "gateway", shipped::GATEWAY, config)
                .set("upstreams.product.url", url(&product))
                .set("upstreams.recommendations.url", url(&recommendations))
        };
        let v1 =
            gateway("v1", "v1.toml").set("upstreams.recommendations.timeout", time(times.hang));
        let v1 = v1.start(bench, NAME).await?;
        let v2 = gateway("v2", "v2.toml")
            .set("upstreams.recommendations.timeout", time(times.v2_time_out))
            .set(
                "upstreams.recommendations.breaker.open_for",
                time(times.open_for),
            );
        let v2 = v2.start(bench, NAME).await?;
        Ok(Self {
            product,
            recommendations,
            gateways: [v1, v2],
        })
    }
}

fn variants() -> Vec<Variant> {
    vec![
        Variant {
            name: "v1",
            label: "v1, unprotected",
            protected: false,
        },
        Variant {
            name: "v2",
            label: "v2, protected",
            protected: true,
        },
    ]
}

fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint {
        name: "product-details",
        label: "product page",
        counted: true,
    }]
}

fn users(times: &Times, gateways: &[Running; 2]) -> Vec<User> {
    (0..2 * times.users_per_variant)
        .map(|number| User {
            variant: number % 2,
            to: gateways[number % 2].at.http,
            script: Box::new(Visitor { product: 0 }),
            arrives: Duration::from_secs_f64((number / 2) as f64 / times.arrivals_per_second),
            think: times.think.0..=times.think.1,
        })
        .collect()
}

/// Looks at one product after the other.
struct Visitor {
    product: u32,
}

#[derive(Deserialize)]
struct Details {
    product: Product,
    recommendations: Vec<serde_json::Value>,
    degraded_mode: bool,
}

#[derive(Deserialize)]
struct Product {
    id: u32,
}

impl Script for Visitor {
    fn next(&mut self, dice: &mut Rng) -> Call {
        self.product = dice.u32(1..=PRODUCTS);
        let path = format!("/product-details/{}", self.product);
        Call {
            endpoint: DETAILS,
            method: Method::GET,
            path,
            json: None,
        }
    }

    /// Delivered means: the product that was asked for is there, and an empty list is owned up to.
    fn judge(&mut self, _call: &Call, answer: &Answer) -> Outcome {
        if !answer.status.is_success() {
            return Outcome::Failed(reason_of_status(answer.status));
        }
        match serde_json::from_slice::<Details>(&answer.body) {
            Ok(details) if details.product.id != self.product => {
                Outcome::Failed("another product".to_owned())
            }
            Ok(details) if details.degraded_mode => Outcome::Degraded,
            Ok(details) if details.recommendations.is_empty() => {
                Outcome::Failed("no recommendations, and not marked as degraded".to_owned())
            }
            Ok(_) => Outcome::Delivered,
            Err(_) => Outcome::Failed("not product details".to_owned()),
        }
    }
}

pub async fn run(bench: &Bench<'_>) -> Result<model::Experiment, LabError> {
    let began = tokio::time::Instant::now();
    let times = Times::of(bench.mode);
    let system = System::start(bench, &times).await?;
    let hands = Hands::new();
    let load = Load {
        variants: variants(),
        endpoints: endpoints(),
        phases: times.phases(),
        users: users(&times, &system.gateways),
        seed: bench.seed,
        user_time_out: times.hang * 2,
        bucket: times.bucket,
    };
    let progress = Progress::new(NAME, &load.variants, length(bench.mode), bench.progress);
    let at = system.recommendations.at.http;
    let driven = drive(load, &progress, async |boundary| match boundary {
        Boundary::Entered(FAILURE) => hands.switch_failure(at, true).await,
        Boundary::Leaving(FAILURE) => hands.switch_failure(at, false).await,
        _ => Ok(()),
    });
    let measured = bench.supervisor.guard(driven).await?;
    let variant = variants()[V2].name;
    let breaker = hands
        .breaker(
            &system.gateways[V2],
            BREAKER,
            variant,
            measured.started_unix_ms,
        )
        .await?;
    let results = Results {
        variants: variants(),
        endpoints: endpoints(),
        phases: times.phases(),
        measured,
    };
    Ok(model::Experiment {
        name: NAME,
        title: TITLE,
        question: "Recommendations are nice to have. When they hang, does the product page still come, and how fast?"
            .to_owned(),
        wall_seconds: began.elapsed().as_secs_f64(),
        settings: settings(bench, &times),
        processes: [&system.product, &system.recommendations, &system.gateways[V1], &system.gateways[V2]]
            .map(described)
            .to_vec(),
        variants: results.variants(),
        endpoints: results.endpoints(),
        phases: results.phases(),
        figures: results.rows(),
        claims: claims(&results, &breaker, &times),
        published: beside(&results),
        headline: headline(&results),
        timeline: results.timeline(),
        notes: notes(),
        breakers: vec![breaker],
    })
}

fn claims(results: &Results, breaker: &Breaker, times: &Times) -> Vec<model::Claim> {
    let window = results
        .measured
        .windows
        .get(FAILURE)
        .copied()
        .unwrap_or_default();
    let traces = &results.measured.traces;
    let (from, to) = results
        .measured
        .steady
        .get(FAILURE)
        .copied()
        .unwrap_or_default();
    let hanging = from..to;
    vec![
        claims::nothing_failed(
            "v2 always delivered the product",
            &[
                ("healthy", &results.overall(V2, HEALTHY)),
                ("failure", &results.overall(V2, FAILURE)),
                ("recovery", &results.overall(V2, RECOVERY)),
            ],
        ),
        claims::one_slow_call_a_period(
            breaker,
            traces.iter().filter(|trace| trace.variant == V2),
            times.slow(),
        ),
        claims::nobody_waits_for_a_trial(
            breaker,
            traces.iter().filter(|trace| trace.variant == V2),
            times.slow(),
        ),
        claims::median_unharmed(
            "during the failure the median of v2",
            &results.overall(V2, HEALTHY),
            &results.overall(V2, FAILURE),
        ),
        claims::failed_or_hung(
            "requests sent to v1 while the recommendations hung",
            traces
                .iter()
                .filter(|trace| trace.variant == V1 && hanging.contains(&trace.started)),
            times.hang,
        ),
        claims::states_in_order(&breaker.name, &breaker.transitions, window),
    ]
}

fn mean(results: &Results, variant: usize) -> String {
    let latency = results.overall(variant, FAILURE).latency;
    latency.map_or("-".to_owned(), |latency| units::millis(latency.mean))
}

fn median(results: &Results, variant: usize) -> String {
    results
        .overall(variant, FAILURE)
        .median()
        .map_or("-".to_owned(), units::millis)
}

fn delivered_share(results: &Results, variant: usize) -> String {
    let failed = results.overall(variant, FAILURE).failed_share();
    failed.map_or("-".to_owned(), |failed| units::share(1.0 - failed))
}

fn served(results: &Results, variant: usize) -> String {
    let figures = results.overall(variant, FAILURE);
    units::per_second(figures.requests_per_second - figures.failures_per_second)
}

/// `100 % (1260/1260)`.
fn delivered(results: &Results, variant: usize) -> String {
    let figures = results.overall(variant, FAILURE);
    match figures.failed_share() {
        Some(failed) => {
            let served = figures.requests - figures.failures;
            format!(
                "{} ({served}/{})",
                units::share(1.0 - failed),
                figures.requests
            )
        }
        None => "nothing asked".to_owned(),
    }
}

fn throughput(results: &Results, variant: usize) -> String {
    units::per_second(results.overall(variant, FAILURE).requests_per_second)
}

fn beside(results: &Results) -> Vec<Comparison> {
    let row = |measure, published: Published, ours: fn(&Results, usize) -> String| Comparison {
        measure,
        unprotected: Beside {
            published: published.unprotected,
            ours: ours(results, V1),
        },
        protected: Beside {
            published: published.protected,
            ours: ours(results, V2),
        },
    };
    vec![
        row("mean response", published::MEAN, mean),
        row("median response", NOTHING, median),
        row("throughput", published::THROUGHPUT, throughput),
        row("product delivered", published::PRODUCT_DELIVERED, delivered),
        row("marked as degraded", NOTHING, |results, variant| {
            degraded_of(&results.overall(variant, FAILURE))
        }),
    ]
}

fn headline(results: &Results) -> Vec<Headline> {
    let tile = |measure, of: fn(&Results, usize) -> String| Headline {
        measure,
        unprotected: of(results, V1),
        protected: of(results, V2),
    };
    vec![
        tile("product delivered", delivered_share),
        tile("median response", median),
        tile("pages served", served),
    ]
}

fn settings(bench: &Bench<'_>, times: &Times) -> Vec<Setting> {
    let setting = |name, value: String| Setting { name, value };
    let seconds = |duration: Duration| units::seconds(duration.as_secs_f64());
    let scaled = if bench.mode == Mode::Full {
        ""
    } else {
        " (published: 30 s; shortened for a short run)"
    };
    vec![
        setting(
            "users",
            format!("{} at each gateway", times.users_per_variant),
        ),
        setting(
            "arrivals",
            format!("{} users a second at each", times.arrivals_per_second),
        ),
        setting(
            "think time",
            format!("{} to {}", seconds(times.think.0), seconds(times.think.1)),
        ),
        setting(
            "failure",
            format!(
                "recommendations hang {}, then answer 408{scaled}",
                seconds(times.hang)
            ),
        ),
        setting(
            "v1",
            format!("time-out {}, nothing else{scaled}", seconds(times.hang)),
        ),
        setting(
            "v2",
            format!(
                "time-out {}, breaker: 3 consecutive failures, {} open, 1 trial; empty list as fallback",
                seconds(times.v2_time_out),
                seconds(times.open_for)
            ),
        ),
    ]
}

fn notes() -> Vec<String> {
    [
        "Requests that were under way when the breaker first opened wait for the time-out too; with many users at once \
         these are more than the three that the rule needs, and they are what lifts v2's mean above its median.",
        "Slow calls are counted twice: from outside, as answers of v2 that took at least 0.9 of its time-out (an open \
         breaker refuses at once, so they must have waited for the recommendations), and inside, as the trials that v2's \
         breaker counted as failed. v2 makes its trials in the background.",
        "A request belongs to the phase in which it was sent. Rates per second count answers by the phase they came in.",
    ]
    .map(str::to_owned)
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(status: u16, body: &'static str) -> Outcome {
        let answer = Answer {
            status: http::StatusCode::from_u16(status).unwrap(),
            body: body.into(),
        };
        let call = Call {
            endpoint: DETAILS,
            method: Method::GET,
            path: String::new(),
            json: None,
        };
        Visitor { product: 2 }.judge(&call, &answer)
    }

    #[test]
    fn delivered_means_the_product_that_was_asked_for() {
        let full = r#"{"product":{"id":2},"recommendations":[{"id":1}],"degraded_mode":false,"timestamp":"x"}"#;
        let degraded =
            r#"{"product":{"id":2},"recommendations":[],"degraded_mode":true,"timestamp":"x"}"#;
        let silent =
            r#"{"product":{"id":2},"recommendations":[],"degraded_mode":false,"timestamp":"x"}"#;
        let other = r#"{"product":{"id":3},"recommendations":[{"id":1}],"degraded_mode":false}"#;
        assert_eq!(judge(200, full), Outcome::Delivered);
        assert_eq!(judge(200, degraded), Outcome::Degraded);
        assert!(
            judge(200, silent).failed() && judge(200, other).failed() && judge(200, "{}").failed()
        );
        assert_eq!(
            judge(504, full),
            Outcome::Failed("504 Gateway Timeout".into())
        );
    }

    #[test]
    fn a_quick_run_is_short() {
        assert!(length(Mode::Quick) < Duration::from_secs(60));
    }
}
