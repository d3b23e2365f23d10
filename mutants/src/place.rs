//! Puts all mutants of a file into its code at once, each behind the question whether it is the active one.

use crate::list::Mutant;
use proc_macro2::Span;
use std::collections::{HashMap, HashSet};
use syn::{
    Arm, BinOp, Block, Expr, ExprStruct, ImplItemConst, ImplItemFn, ItemConst, ItemFn, ItemMod,
    ItemStatic, Member, Pat, ReturnType, Signature, Stmt, TraitItemFn, Type, parse_quote,
    parse_str,
    spanned::Spanned,
    visit_mut::{self, VisitMut},
};

type Position = (usize, usize);

/// What is appended to the library: which mutant is active is a matter of the environment.
pub const ACTIVE: &str = r#"
#[allow(missing_docs, dead_code)]
mod mutant {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    static ACTIVE: AtomicU32 = AtomicU32::new(u32::MAX);
    #[inline(always)]
    pub(crate) fn active() -> u32 {
        let active = ACTIVE.load(Relaxed);
        if active == u32::MAX { init() } else { active }
    }
    #[cold]
    #[inline(never)]
    fn init() -> u32 {
        let active = std::env::var("MUTANT").ok().and_then(|id| id.parse().ok()).unwrap_or(0);
        ACTIVE.store(active, Relaxed);
        active
    }
}
"#;

/// The code with the mutants in it, and which of them could be placed.
///
/// `constant` names the functions that have to remain `const`: no mutant of theirs is placed.
pub fn place(
    code: &str,
    mutants: impl Iterator<Item = Mutant>,
    constant: &HashSet<String>,
) -> (String, HashSet<u32>) {
    let mut tree = syn::parse_file(code).expect("the library compiles");
    let mut map: HashMap<Position, Vec<Mutant>> = HashMap::new();
    for mutant in mutants {
        map.entry(mutant.start).or_default().push(mutant);
    }
    let mut placer = Placer {
        map,
        constant,
        inside_constant: false,
        placed: HashSet::new(),
    };
    placer.visit_file_mut(&mut tree);
    (prettyplease::unparse(&tree), placer.placed)
}

struct Placer<'a> {
    map: HashMap<Position, Vec<Mutant>>,
    constant: &'a HashSet<String>,
    inside_constant: bool,
    placed: HashSet<u32>,
}

impl Placer<'_> {
    fn take(&mut self, at: Position, genre: &str) -> Vec<Mutant> {
        if self.inside_constant {
            return Vec::new();
        }
        let here = self.map.get(&at).into_iter().flatten();
        let found: Vec<_> = here.filter(|one| one.genre == genre).cloned().collect();
        self.placed.extend(found.iter().map(|one| one.id));
        found
    }

    fn body(&mut self, at: Option<Position>, block: &mut Block) {
        let Some(at) = at else { return };
        let found = self.take(at, "FnValue");
        if found.is_empty() {
            return;
        }
        let ids = found.iter().map(|one| one.id);
        let values = found.iter().map(|one| expression(&one.replacement));
        let choice: Stmt =
            parse_quote!(match crate::mutant::active() { #(#ids => return #values,)* _ => {} });
        block.stmts.insert(0, choice);
    }

    fn function(
        &mut self,
        signature: &mut Signature,
        block: &mut Block,
        visit: impl FnOnce(&mut Self, &mut Block),
    ) {
        let outer = self.inside_constant;
        if signature.constness.is_some() {
            if self.constant.contains(&signature.ident.to_string()) {
                self.inside_constant = true;
            } else {
                signature.constness = None;
            }
        }
        let at = first(block);
        visit(self, block);
        // `impl Trait` is one type, and what is returned instead another.
        if !matches!(&signature.output, ReturnType::Type(_, of) if matches!(**of, Type::ImplTrait(_)))
        {
            self.body(at, block);
        }
        self.inside_constant = outer;
    }
}

impl VisitMut for Placer<'_> {
    // Nothing can be asked while the compiler works a constant out.
    fn visit_item_const_mut(&mut self, _: &mut ItemConst) {}
    fn visit_item_static_mut(&mut self, _: &mut ItemStatic) {}
    fn visit_impl_item_const_mut(&mut self, _: &mut ImplItemConst) {}
    fn visit_pat_mut(&mut self, _: &mut Pat) {}
    fn visit_type_mut(&mut self, _: &mut Type) {}

    fn visit_item_mod_mut(&mut self, module: &mut ItemMod) {
        if !module.ident.to_string().ends_with("tests") {
            visit_mut::visit_item_mod_mut(self, module);
        }
    }

    fn visit_item_fn_mut(&mut self, function: &mut ItemFn) {
        self.function(&mut function.sig, &mut function.block, |this, block| {
            this.visit_block_mut(block);
        });
    }

    fn visit_impl_item_fn_mut(&mut self, function: &mut ImplItemFn) {
        self.function(&mut function.sig, &mut function.block, |this, block| {
            this.visit_block_mut(block);
        });
    }

    fn visit_trait_item_fn_mut(&mut self, function: &mut TraitItemFn) {
        if let Some(block) = &mut function.default {
            let at = first(block);
            self.visit_block_mut(block);
            self.body(at, block);
        }
    }

    fn visit_arm_mut(&mut self, arm: &mut Arm) {
        let at = position(arm.span());
        let guard_at = arm.guard.as_ref().map(|(_, guard)| position(guard.span()));
        visit_mut::visit_arm_mut(self, arm);
        if let (Some(guard_at), Some((_, guard))) = (guard_at, &mut arm.guard)
            && !has_let(guard)
        {
            let found = self.take(guard_at, "MatchArmGuard");
            if !found.is_empty() {
                let old = (**guard).clone();
                **guard = choose(&found, |one| expression(&one.replacement), old);
            }
        }
        if arm.guard.as_ref().is_some_and(|(_, guard)| has_let(guard)) {
            return;
        }
        if let Some(deleted) = self.take(at, "MatchArm").first() {
            let id = deleted.id;
            match &mut arm.guard {
                None => {
                    let guard: Expr = parse_quote!(crate::mutant::active() != #id);
                    arm.guard = Some((Default::default(), Box::new(guard)));
                }
                Some((_, guard)) => {
                    let old = (**guard).clone();
                    **guard = parse_quote!(crate::mutant::active() != #id && (#old));
                }
            }
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        match expr {
            Expr::Const(_) => return,
            // Its length is a constant.
            Expr::Repeat(repeat) => return self.visit_expr_mut(&mut repeat.expr),
            _ => {}
        }
        let found = match expr {
            Expr::Binary(binary) if !has_let(&binary.left) && !has_let(&binary.right) => {
                self.take(position(binary.op.span()), "BinaryOperator")
            }
            Expr::Unary(unary) => self.take(position(unary.op.span()), "UnaryOperator"),
            Expr::Struct(made) => self.deletable(made),
            _ => Vec::new(),
        };
        // What is left away must be found again after what is in it has changed.
        let fields: Vec<Member> = match expr {
            Expr::Struct(made) => {
                let of = |one: &Mutant| {
                    let mut fields = made.fields.iter();
                    let field = fields.find(|field| position(field.span()) == one.start);
                    field.expect("it was found there").member.clone()
                };
                found.iter().map(of).collect()
            }
            _ => Vec::new(),
        };
        visit_mut::visit_expr_mut(self, expr);
        if found.is_empty() {
            return;
        }
        let changed = match &*expr {
            Expr::Binary(binary) => {
                let (left, right, own) = (&binary.left, &binary.right, binary.op);
                // The left of an assignment stays a place.
                let with = |op: BinOp| -> Expr {
                    if is_assignment(&op) {
                        parse_quote!(#left #op (#right))
                    } else {
                        parse_quote!((#left) #op (#right))
                    }
                };
                let of =
                    |one: &Mutant| with(parse_str(&one.replacement).expect("a binary operator"));
                choose(&found, of, with(own))
            }
            Expr::Unary(unary) => {
                let (op, inner) = (unary.op, &unary.expr);
                choose(&found, |_| (**inner).clone(), parse_quote!(#op (#inner)))
            }
            Expr::Struct(made) => {
                let mut fields = fields.iter();
                let of = |_: &Mutant| {
                    let gone = fields.next().expect("one for each");
                    let mut rest = made.clone();
                    let kept = made.fields.iter().filter(|field| field.member != *gone);
                    rest.fields = kept.cloned().collect();
                    if !rest.fields.is_empty() {
                        rest.fields.push_punct(Default::default());
                    }
                    Expr::Struct(rest)
                };
                choose(&found, of, Expr::Struct(made.clone()))
            }
            _ => unreachable!("nothing else is found"),
        };
        *expr = parse_quote!((#changed));
    }
}

impl Placer<'_> {
    fn deletable(&mut self, made: &ExprStruct) -> Vec<Mutant> {
        let fields = made.fields.iter().map(|field| position(field.span()));
        fields
            .collect::<Vec<_>>()
            .into_iter()
            .flat_map(|at| self.take(at, "StructField"))
            .collect()
    }
}

fn choose(found: &[Mutant], of: impl FnMut(&Mutant) -> Expr, own: Expr) -> Expr {
    let ids = found.iter().map(|one| one.id);
    let changed = found.iter().map(of);
    parse_quote!(match crate::mutant::active() { #(#ids => #changed,)* _ => #own })
}

fn expression(code: &str) -> Expr {
    parse_str(code).unwrap_or_else(|err| panic!("{code}: {err}"))
}

fn first(block: &Block) -> Option<Position> {
    block.stmts.first().map(|stmt| position(stmt.span()))
}

fn position(span: Span) -> Position {
    let start = span.start();
    (start.line, start.column + 1)
}

// A chain with a `let` in it is no value.
fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        Expr::Paren(paren) => has_let(&paren.expr),
        _ => false,
    }
}

fn is_assignment(op: &BinOp) -> bool {
    matches!(
        op,
        BinOp::AddAssign(_)
            | BinOp::SubAssign(_)
            | BinOp::MulAssign(_)
            | BinOp::DivAssign(_)
            | BinOp::RemAssign(_)
            | BinOp::BitXorAssign(_)
            | BinOp::BitAndAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::ShlAssign(_)
            | BinOp::ShrAssign(_)
    )
}
