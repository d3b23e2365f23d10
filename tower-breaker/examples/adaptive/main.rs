#![allow(clippy::print_stdout)]
mod chance;
mod guard;
mod server;
use guard::Guard;
use server::*;
use tower_breaker::bulkhead::limit::*;

const PHASES: &[Phase] = &[
    Phase {
        name: "40 workers",
        from: 0,
        workers: 40,
        service_ms: 20.0,
        offered: 3_000.0,
    },
    Phase {
        name: "10 workers",
        from: 40,
        workers: 10,
        service_ms: 20.0,
        offered: 3_000.0,
    },
    Phase {
        name: "40 workers",
        from: 80,
        workers: 40,
        service_ms: 20.0,
        offered: 3_000.0,
    },
    Phase {
        name: "slow",
        from: 120,
        workers: 40,
        service_ms: 40.0,
        offered: 3_000.0,
    },
    Phase {
        name: "fast",
        from: 160,
        workers: 40,
        service_ms: 20.0,
        offered: 3_000.0,
    },
    Phase {
        name: "quiet",
        from: 200,
        workers: 40,
        service_ms: 20.0,
        offered: 600.0,
    },
];

fn main() {
    let n: u64 = 240;
    let world = World {
        phases: PHASES,
        seconds: n,
        time_out_ms: 500.0,
        seed: 7,
    };
    let guards: Vec<(&str, Guard)> = vec![
        ("fixed 100", Guard::fixed(100)),
        ("fixed 400", Guard::fixed(400)),
        (
            "aimd",
            Guard::adaptive(Box::new(
                Aimd::builder()
                    .max(500)
                    .timeout(std::time::Duration::from_millis(60))
                    .build()
                    .unwrap(),
            )),
        ),
        (
            "gradient2",
            Guard::adaptive(Box::new(Gradient2::builder().max(500).build().unwrap())),
        ),
        (
            "vegas",
            Guard::adaptive(Box::new(Vegas::builder().max(500).build().unwrap())),
        ),
    ];
    for (name, guard) in &guards {
        let s = play(&world, guard);
        println!("{name} base {:?}", guard.baseline());
        for (i, p) in PHASES.iter().enumerate() {
            let to = PHASES.get(i + 1).map_or(n, |p| p.from);
            let all = &s[p.from as usize..to as usize];
            let ans: u32 = all.iter().map(|s| s.answered).sum();
            let to_: u32 = all.iter().map(|s| s.timed_out).sum();
            let tail = &all[all.len() / 2..];
            let ans2: u32 = tail.iter().map(|s| s.answered).sum();
            let lat: f64 = tail.iter().map(|s| s.latency_ms).sum::<f64>() / tail.len() as f64;
            let lim: Vec<usize> = all.iter().map(|s| s.limit).collect();
            println!(
                "  {:10} goodput {:.3} second half {:.3} timeouts {to_} lat {lat:.1} limits {lim:?}",
                p.name,
                ans as f64 / p.capacity() / all.len() as f64,
                ans2 as f64 / p.capacity() / tail.len() as f64
            );
        }
    }
}
