//! Any configuration of a circuit, and any sequence of calls, results, cancels, time steps and manual actions, against the
//! sequential model of the tests: the same code as `cargo test --test model`, with libFuzzer's bytes instead of chance.
#![no_main]

mod cases;
#[allow(dead_code, unused_imports, clippy::module_inception)]
#[path = "../../tests/model/main.rs"]
mod model;

use arbitrary::Unstructured;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus {
    let mut data = Unstructured::new(data);
    let Ok(config) = cases::config(&mut data) else {
        return Corpus::Reject;
    };
    let steps = cases::steps(&mut data);
    if let Err(error) = model::run(config.clone(), &steps) {
        panic!("{error}\n{config:#?}\n{steps:?}");
    }
    Corpus::Keep
});
