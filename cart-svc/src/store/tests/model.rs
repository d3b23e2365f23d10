//! The store against a map: whatever the commands and however they fall into transactions, both agree.

use std::collections::HashMap;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    domain::{LineQuantity, Refusal},
    store::reader::read_cart,
};

const USERS: [&str; 3] = ["ann", "bob", "7"];
const PRODUCTS: i64 = 4;

#[derive(Debug, Clone)]
struct Op {
    user: usize,
    product: i64,
    quantity: i64,
    key: Option<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Line(u32),
    Replayed(u32),
    LineFull(u32),
    KeyReused,
}

#[derive(Default)]
struct Model {
    lines: HashMap<(usize, i64), u32>,
    keys: HashMap<(usize, u8), (i64, i64, u32)>,
}

impl Model {
    fn add(&mut self, op: &Op) -> Outcome {
        if let Some(earlier) = op.key.and_then(|key| self.keys.get(&(op.user, key))) {
            return match *earlier {
                (product, quantity, line) if (product, quantity) == (op.product, op.quantity) => {
                    Outcome::Replayed(line)
                }
                _ => Outcome::KeyReused,
            };
        }
        let held = self
            .lines
            .get(&(op.user, op.product))
            .copied()
            .unwrap_or_default();
        let total = held + op.quantity as u32;
        if total > LineQuantity::MAX {
            return Outcome::LineFull(held);
        }
        self.lines.insert((op.user, op.product), total);
        if let Some(key) = op.key {
            self.keys
                .insert((op.user, key), (op.product, op.quantity, total));
        }
        Outcome::Line(total)
    }
}

fn outcome(result: &Result<Added, AddError>) -> Outcome {
    match result {
        Ok(added) if added.replayed => Outcome::Replayed(added.receipt.item.quantity.get()),
        Ok(added) => Outcome::Line(added.receipt.item.quantity.get()),
        Err(AddError::Refused(Refusal::LineFull { in_cart, .. })) => Outcome::LineFull(*in_cart),
        Err(AddError::Refused(Refusal::KeyReused)) => Outcome::KeyReused,
        Err(other) => panic!("{other}"),
    }
}

fn op() -> impl Strategy<Value = Op> {
    // Mostly large quantities, so that lines fill up; few keys, so that they collide.
    let quantity = prop_oneof![2 => 900..=999i64, 1 => 1..=3i64];
    (
        0..USERS.len(),
        1..=PRODUCTS,
        quantity,
        proptest::option::weighted(0.4, 0..4u8),
    )
        .prop_map(|(user, product, quantity, key)| Op {
            user,
            product,
            quantity,
            key,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_store_agrees_with_a_map(batches in vec(vec(op(), 1..20), 1..12)) {
        let mut writer = writer(memory());
        let mut model = Model::default();

        for batch in batches {
            let items = batch.iter().map(|op| {
                let item = item(USERS[op.user], op.product, op.quantity);
                match op.key {
                    Some(key) => keyed(&key.to_string(), item),
                    None => item,
                }
            });
            let results = commit(&mut writer, items);
            for (op, result) in batch.iter().zip(&results) {
                prop_assert_eq!(outcome(result), model.add(op), "{:?}", op);
            }
        }

        for (index, user) in USERS.iter().enumerate() {
            let cart = read_cart(writer.connection(), &UserId::new(*user).unwrap()).unwrap();
            let lines: HashMap<_, _> = cart.lines.iter().map(|l| ((index, l.product.id.get()), l.quantity.get())).collect();
            let expected: HashMap<_, _> = model.lines.iter().filter(|(key, _)| key.0 == index).map(|(k, v)| (*k, *v)).collect();
            prop_assert_eq!(lines, expected);
        }
        let writes = writer.stats().added();
        prop_assert_eq!(count(writer.connection(), "outbox"), writes as i64);
    }
}
