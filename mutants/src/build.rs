//! Builds the tests with all mutants in them, and leaves out those that do not compile.

use crate::{
    list::Mutant,
    place::{self, ACTIVE},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use syn::{
    Expr, ExprMatch, Lit, Pat,
    spanned::Spanned,
    visit::{self, Visit},
};

pub struct Built {
    /// The binary of each test target.
    pub binaries: HashMap<String, PathBuf>,
    pub placed: HashSet<u32>,
    /// Those that do not compile.
    pub unviable: HashSet<u32>,
}

pub fn build(root: &Path, work: &Path, mutants: &[Mutant], targets: &[&str]) -> Built {
    let tree = work.join("tree");
    copy(root, &tree);
    // A change may well leave something unused.
    let text = fs::read_to_string(root.join(MANIFEST)).expect("the library has a manifest");
    put(
        &tree.join(MANIFEST),
        &text.replace("[lints]\nworkspace = true\n", ""),
    );

    // What an earlier run has found out, so that this one need not fail as often. Names have line numbers in them.
    let (does_not_compile, stays_constant) = (work.join("unviable"), work.join("constant"));
    let known = lines(&does_not_compile);
    let known = mutants.iter().filter(|one| known.contains(&one.name));
    let mut unviable: HashSet<u32> = known.map(|one| one.id).collect();
    let mut constant = lines(&stays_constant);
    for round in 1.. {
        let placed = write(root, &tree, mutants, &unviable, &constant);
        eprintln!("round {round}: {} mutants in one build", placed.len());
        let (binaries, errors) = compile(&tree, &root.join("target"), targets);
        if errors.is_empty() {
            let names = mutants.iter().filter(|one| unviable.contains(&one.id));
            let names = names.map(|one| one.name.clone());
            note(
                &does_not_compile,
                lines(&does_not_compile).into_iter().chain(names),
            );
            note(&stays_constant, constant.into_iter());
            return Built {
                binaries,
                placed,
                unviable,
            };
        }
        let before = (unviable.len(), constant.len());
        let mut arms = HashMap::new();
        for error in &errors {
            if error["code"]["code"] == "E0015" {
                constant.insert(called(error));
            } else {
                unviable.extend(culprits(error, &tree, &mut arms));
            }
        }
        if before == (unviable.len(), constant.len()) {
            let text = |error: &Value| error["rendered"].as_str().unwrap_or_default().to_owned();
            let all: Vec<_> = errors.iter().map(text).collect();
            panic!("no mutant's errors:\n{}", all.join("\n"));
        }
    }
    unreachable!("the loop has no end")
}

const MANIFEST: &str = "tower-breaker/Cargo.toml";
const CODE: &str = "tower-breaker/src";

fn lines(path: &Path) -> HashSet<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn note(path: &Path, lines: impl Iterator<Item = String>) {
    let all: BTreeSet<String> = lines.collect();
    let text: String = all.into_iter().map(|line| line + "\n").collect();
    put(path, &text);
}

// Only what has changed is built again.
fn put(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return;
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).expect("the target directory is ours");
    }
    fs::write(path, text).expect("a file of our own");
}

// All but what is written with changes.
fn copy(root: &Path, tree: &Path) {
    fs::create_dir_all(tree).expect("the target directory is ours");
    let script = "git ls-files -z --cached --others --exclude-standard -- . ':!tower-breaker/src' ':!tower-breaker/Cargo.toml' | while IFS= read -r -d '' f; do [ -f \"$f\" ] && printf '%s\\0' \"$f\"; done | tar --null -T - -cf - | tar -xf - -C \"$0\"";
    let status = Command::new("bash")
        .args(["-c", script])
        .arg(tree)
        .current_dir(root)
        .status();
    assert!(
        status.expect("bash runs").success(),
        "the code could not be copied"
    );
}

fn write(
    root: &Path,
    tree: &Path,
    mutants: &[Mutant],
    unviable: &HashSet<u32>,
    constant: &HashSet<String>,
) -> HashSet<u32> {
    let mut files: BTreeMap<&str, Vec<&Mutant>> = BTreeMap::new();
    for mutant in mutants {
        files.entry(&mutant.file).or_default().push(mutant);
    }
    let mut all = HashSet::new();
    let mut written = HashSet::new();
    for (file, here) in files {
        let code = fs::read_to_string(root.join(file)).expect("cargo-mutants has read it");
        let viable = here.into_iter().filter(|one| !unviable.contains(&one.id));
        let (code, placed) = place::place(&code, viable.cloned(), constant);
        all.extend(placed);
        put(&tree.join(file), &code);
        written.insert(file.to_owned());
    }
    for file in files_in(root, CODE) {
        if !written.contains(&file) {
            let code = fs::read_to_string(root.join(&file)).expect("it is there");
            let more = if file == format!("{CODE}/lib.rs") {
                ACTIVE
            } else {
                ""
            };
            put(&tree.join(&file), &(code + more));
        }
    }
    all
}

fn files_in(root: &Path, directory: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(directory)).expect("it is there") {
        let entry = entry.expect("it can be read");
        let path = format!("{directory}/{}", entry.file_name().to_string_lossy());
        match entry.file_type().expect("it has one").is_dir() {
            true => found.extend(files_in(root, &path)),
            false => found.push(path),
        }
    }
    found
}

fn compile(tree: &Path, target: &Path, targets: &[&str]) -> (HashMap<String, PathBuf>, Vec<Value>) {
    let mut command = Command::new("cargo");
    command.args([
        "test",
        "-p",
        "tower-breaker",
        "--no-run",
        "--message-format=json",
    ]);
    for name in targets {
        match *name {
            "lib" => command.arg("--lib"),
            name => command.args(["--test", name]),
        };
    }
    let output = command
        .current_dir(tree)
        .env("CARGO_TARGET_DIR", target)
        .output()
        .expect("cargo runs");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages: Vec<Value> = lines
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let mut binaries = HashMap::new();
    let mut errors = Vec::new();
    for message in messages {
        match message["reason"].as_str() {
            Some("compiler-artifact") if message["executable"].is_string() => {
                let of = &message["target"];
                let name = if of["kind"][0] == "lib" {
                    "lib"
                } else {
                    of["name"].as_str().unwrap_or_default()
                };
                let path = message["executable"].as_str().unwrap_or_default();
                binaries.insert(name.to_owned(), path.into());
            }
            Some("compiler-message")
                if message["message"]["level"] == "error"
                    && message["message"]["spans"]
                        .as_array()
                        .is_some_and(|spans| !spans.is_empty()) =>
            {
                errors.push(message["message"].clone());
            }
            _ => {}
        }
    }
    assert!(
        output.status.success() || !errors.is_empty(),
        "cargo test: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    (binaries, errors)
}

// "cannot call non-const associated function `word::Layout::<T>::pack` in constants"
fn called(error: &Value) -> String {
    let message = error["message"].as_str().unwrap_or_default();
    let path = message.split('`').nth(1).unwrap_or_default();
    let name = path.rsplit("::").find(|part| !part.contains(['<', '>']));
    name.unwrap_or(path).to_owned()
}

type Span = ((usize, usize), (usize, usize));

// The mutants in whose code the error is: of the innermost one, where the error itself is or what it speaks of.
fn culprits(error: &Value, tree: &Path, files: &mut HashMap<String, Vec<(Span, u32)>>) -> Vec<u32> {
    let spans = error["spans"].as_array().into_iter().flatten();
    let (primary, other): (Vec<_>, Vec<_>) = spans.partition(|span| span["is_primary"] == true);
    let children = error["children"].as_array().into_iter().flatten();
    let more = children.flat_map(|child| child["spans"].as_array().into_iter().flatten());
    for span in primary.into_iter().chain(other).chain(more) {
        let file = span["file_name"].as_str().unwrap_or_default();
        let arms = files
            .entry(file.to_owned())
            .or_insert_with(|| arms(&tree.join(file)));
        let number =
            |key: &str| usize::try_from(span[key].as_u64().unwrap_or_default()).unwrap_or_default();
        let from = (number("line_start"), number("column_start"));
        let to = (number("line_end"), number("column_end"));
        let around = arms.iter().filter(|((a, b), _)| *a <= from && to <= *b);
        let inner = around.min_by_key(|((a, b), _)| (b.0 - a.0, b.1.abs_diff(a.1)));
        if let Some((_, id)) = inner {
            return vec![*id];
        }
    }
    Vec::new()
}

// Where which mutant's code is.
fn arms(path: &Path) -> Vec<(Span, u32)> {
    let Ok(code) = fs::read_to_string(path) else {
        return Vec::new();
    };
    let Ok(file) = syn::parse_file(&code) else {
        return Vec::new();
    };
    let mut arms = Arms(Vec::new());
    arms.visit_file(&file);
    arms.0
}

struct Arms(Vec<(Span, u32)>);

impl<'a> Visit<'a> for Arms {
    fn visit_expr_match(&mut self, choice: &'a ExprMatch) {
        visit::visit_expr_match(self, choice);
        for arm in &choice.arms {
            if let Pat::Lit(pattern) = &arm.pat
                && let Lit::Int(id) = &pattern.lit
                && id.suffix() == "u32"
                && let Ok(id) = id.base10_parse()
            {
                self.0.push((span(arm.span()), id));
            }
            // An arm that may be passed over is missing from the match, not from itself.
            if let Some((_, guard)) = &arm.guard
                && let Some(id) = passed_over(guard)
            {
                self.0.push((span(choice.span()), id));
            }
        }
    }
}

fn passed_over(guard: &Expr) -> Option<u32> {
    let Expr::Binary(binary) = guard else {
        return None;
    };
    match (&*binary.left, &*binary.right) {
        (Expr::Call(_), Expr::Lit(id)) => match &id.lit {
            Lit::Int(id) if id.suffix() == "u32" => id.base10_parse().ok(),
            _ => None,
        },
        (left, _) => passed_over(left),
    }
}

fn span(span: proc_macro2::Span) -> Span {
    let (start, end) = (span.start(), span.end());
    ((start.line, start.column + 1), (end.line, end.column + 1))
}
