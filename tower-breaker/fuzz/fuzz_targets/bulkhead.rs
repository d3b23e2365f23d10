//! Any bulkhead, and any sequence of acquiring, polling, cancelling, releasing, resizing and time steps, against the sequential model of
//! the tests: the same code as `cargo test --test bulkhead`, with libFuzzer's bytes instead of chance.
#![no_main]

#[allow(dead_code, unused_imports)]
#[path = "../../tests/bulkhead/model.rs"]
mod model;

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::{Corpus, fuzz_target};
use model::Step;
use tower_breaker::bulkhead::Priority;

fn step(u: &mut Unstructured<'_>) -> Result<Step> {
    Ok(match u.int_in_range(0..=8_u8)? {
        0 => Step::TryAcquire,
        1..=2 => Step::Acquire(*u.choose(&Priority::ALL)?),
        8 => Step::Resize(u.int_in_range(1..=4_u8)?.into()),
        3 => Step::Poll(u.arbitrary::<u8>()?.into()),
        4 => Step::Cancel(u.arbitrary::<u8>()?.into()),
        5..=6 => Step::Release(u.arbitrary::<u8>()?.into()),
        _ => Step::Wait(u.int_in_range(1..=11_u8)?.into()),
    })
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let mut data = Unstructured::new(data);
    let u = &mut data;
    let (Ok(max_concurrent), Ok(max_queue)) = (u.int_in_range(1..=4_u8), u.int_in_range(0..=4_u8))
    else {
        return Corpus::Reject;
    };
    let steps = std::iter::from_fn(|| (!u.is_empty()).then(|| step(u).ok()).flatten());
    let steps = steps.take(2_000).collect();
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O needs nothing that could be missing")
        .block_on(model::run(max_concurrent.into(), max_queue.into(), steps));
    Corpus::Keep
});
