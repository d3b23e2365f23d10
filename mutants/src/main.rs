//! Which changes of the library's code does no test notice? Quicker than cargo-mutants, and for the same mutants: see `.ci/mutants`.

mod build;
mod list;
mod place;
mod run;
mod tests;

use crate::run::{Outcome, Runner};
use std::{
    collections::{HashMap, HashSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Mutex,
    thread,
};

fn main() -> ExitCode {
    let prefixes: Vec<String> = std::env::args().skip(1).collect();
    let root = std::env::current_dir().expect("there is a directory");
    let work =
        std::env::var_os("MUTANTS_DIR").map_or_else(|| root.join("target/mutants"), PathBuf::from);
    let mutants = list::list(&root, &prefixes);
    if mutants.is_empty() {
        eprintln!("no such mutants");
        return ExitCode::FAILURE;
    }
    let mut targets = Vec::new();
    for target in mutants.iter().flat_map(|one| tests::of(&one.file)) {
        if !targets.contains(target) {
            targets.push(*target);
        }
    }
    let names: HashSet<&str> = targets.iter().map(|target| target.name).collect();
    let built = build::build(&root, &work, &mutants, &Vec::from_iter(names));
    let mut runner = Runner {
        binaries: built.binaries,
        library: run::library(&work),
        usual: HashMap::new(),
    };
    runner.measure(&targets);

    let report = Mutex::new(Report::new(&work));
    let queue = Mutex::new(mutants.iter());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some(mutant) = queue.lock().expect("nobody panics with it").next() else {
                        return;
                    };
                    let (outcome, by) = if built.unviable.contains(&mutant.id) {
                        ("unviable", String::new())
                    } else if !built.placed.contains(&mutant.id) {
                        ("unplaced", String::new())
                    } else {
                        match runner.examine(mutant.id, tests::of(&mutant.file)) {
                            Outcome::Caught(by) => ("caught", by),
                            Outcome::Endless(by) => ("timeout", by.to_owned()),
                            Outcome::Survived => ("SURVIVED", String::new()),
                        }
                    };
                    let mut report = report.lock().expect("nobody panics with it");
                    report.add(outcome, &mutant.name, &by);
                }
            });
        }
    });
    report.into_inner().expect("nobody panics with it").end()
}

struct Report {
    file: fs::File,
    counts: HashMap<&'static str, usize>,
}

impl Report {
    fn new(work: &Path) -> Self {
        let path = work.join("outcomes.tsv");
        Self {
            file: fs::File::create(path).expect("the target directory is ours"),
            counts: HashMap::new(),
        }
    }

    fn add(&mut self, outcome: &'static str, name: &str, by: &str) {
        *self.counts.entry(outcome).or_default() += 1;
        writeln!(self.file, "{outcome}\t{name}\t{by}").expect("there is room for a line");
        if matches!(outcome, "SURVIVED" | "unplaced") {
            println!("{outcome}\t{name}");
        }
    }

    fn end(self) -> ExitCode {
        println!("{:?}", self.counts);
        if self.counts.contains_key("SURVIVED") {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}
