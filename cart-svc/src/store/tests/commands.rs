//! What one command does.

use super::*;
use crate::{
    domain::{Freshness, MAX_LINES, Refusal, Source},
    store::reader::read_cart,
};

#[test]
fn adding_again_grows_the_line_and_the_receipt_says_so() {
    let mut writer = writer(memory());
    commit(&mut writer, [item("ann", 1, 2), item("ann", 2, 1)]);
    let added = commit(&mut writer, [item("ann", 1, 3)]).remove(0).unwrap();

    let receipt = added.receipt;
    assert!(!added.replayed);
    assert_eq!(
        (receipt.item.added.get(), receipt.item.quantity.get()),
        (3, 5)
    );
    assert_eq!(receipt.item.subtotal, Cents::new(50).unwrap());
    assert_eq!((receipt.cart.lines, receipt.cart.quantity), (2, 6));
    assert_eq!(receipt.cart.total, Cents::new(70).unwrap());

    let cart = read_cart(writer.connection(), &UserId::new("ann").unwrap()).unwrap();
    let lines: Vec<_> = cart
        .lines
        .iter()
        .map(|l| (l.product.id.get(), l.quantity.get()))
        .collect();
    assert_eq!(lines, [(1, 5), (2, 1)]);
}

#[test]
fn users_do_not_see_each_other() {
    let mut writer = writer(memory());
    commit(&mut writer, [item("ann", 1, 2), item("bob", 1, 7)]);
    let cart = read_cart(writer.connection(), &UserId::new("bob").unwrap()).unwrap();
    assert_eq!(cart.lines.len(), 1);
    assert_eq!(cart.lines[0].quantity.get(), 7);
    assert!(
        read_cart(writer.connection(), &UserId::new("eve").unwrap())
            .unwrap()
            .lines
            .is_empty()
    );
}

#[test]
fn a_cached_product_is_recorded_as_of_when_it_was_known() {
    let mut writer = writer(memory());
    let mut stale = item("ann", 1, 1);
    stale.offer.freshness = Freshness::Stale {
        as_of: Timestamp::from_millis(5_000),
        age: Duration::from_secs(60),
        source: Source::Cache,
    };
    let expected = stale.offer.freshness;
    let added = commit(&mut writer, [stale]).remove(0).unwrap();
    assert_eq!(added.receipt.freshness, expected);
    let cart = read_cart(writer.connection(), &UserId::new("ann").unwrap()).unwrap();
    assert_eq!(cart.lines[0].recorded_at, Timestamp::from_millis(5_000));
}

#[test]
fn every_write_leaves_one_outbox_row_and_nothing_else_does() {
    let mut writer = writer(memory());
    commit(
        &mut writer,
        [
            keyed("a", item("ann", 1, 1)),
            keyed("a", item("ann", 1, 1)),
            keyed("a", item("ann", 1, 2)),
            item("ann", 2, 1),
        ],
    );
    let rows: Vec<(String, String)> = writer
        .connection()
        .prepare("SELECT kind, payload FROM outbox ORDER BY id")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), 2);
    for (row, product) in rows.iter().zip([1, 2]) {
        let payload: serde_json::Value = serde_json::from_str(&row.1).unwrap();
        assert_eq!(row.0, "item_added");
        assert_eq!(payload["item"]["product_id"], product);
        assert_eq!(payload["user_id"], "ann");
    }
}

#[test]
fn a_repeated_key_repeats_the_answer_and_adds_nothing() {
    let mut writer = writer(memory());
    let first = commit(&mut writer, [keyed("k", item("ann", 1, 2))])
        .remove(0)
        .unwrap();
    commit(&mut writer, [item("ann", 1, 5)]);
    let again = commit(&mut writer, [keyed("k", item("ann", 1, 2))])
        .remove(0)
        .unwrap();

    assert!(again.replayed);
    assert_eq!(again.receipt, first.receipt);
    let cart = read_cart(writer.connection(), &UserId::new("ann").unwrap()).unwrap();
    assert_eq!(cart.lines[0].quantity.get(), 7);
}

#[test]
fn a_key_belongs_to_one_request_of_one_user() {
    let mut writer = writer(memory());
    let results = commit(
        &mut writer,
        [
            keyed("k", item("ann", 1, 2)),
            keyed("k", item("ann", 1, 3)),
            keyed("k", item("ann", 2, 2)),
            keyed("k", item("bob", 1, 3)),
        ],
    );
    assert!(results[0].is_ok());
    assert_eq!(results[1], Err(Refusal::KeyReused.into()));
    assert_eq!(results[2], Err(Refusal::KeyReused.into()));
    assert!(!results[3].as_ref().unwrap().replayed);
}

#[test]
fn a_refused_write_does_not_use_up_its_key() {
    let mut writer = writer(memory());
    for _ in 0..10 {
        commit(&mut writer, [item("ann", 1, 999)]);
    }
    let refused = commit(&mut writer, [keyed("k", item("ann", 1, 500))]).remove(0);
    assert!(
        matches!(
            refused,
            Err(AddError::Refused(Refusal::LineFull { in_cart: 9_990, .. }))
        ),
        "{refused:?}"
    );
    let other = commit(&mut writer, [keyed("k", item("ann", 1, 9))]).remove(0);
    assert_eq!(other.unwrap().receipt.item.quantity.get(), 9_999);
}

#[test]
fn keys_are_forgotten_after_their_time_and_their_rows_removed() {
    let mut writer = writer(memory());
    let almost = TTL - Duration::from_millis(1);
    let after = TTL + Duration::from_millis(1);
    commit(&mut writer, [keyed("k", item("ann", 1, 2))]);
    assert!(
        commit(&mut writer, [later(almost, keyed("k", item("ann", 1, 2)))])
            .remove(0)
            .unwrap()
            .replayed
    );

    // Expired but not yet purged, then taken by a different request.
    let reused = commit(&mut writer, [later(after, keyed("k", item("ann", 1, 3)))])
        .remove(0)
        .unwrap();
    assert!(!reused.replayed);
    assert_eq!(count(writer.connection(), "idempotency_keys"), 1);

    commit(&mut writer, [later(after * 2, item("ann", 1, 1))]);
    assert_eq!(count(writer.connection(), "idempotency_keys"), 0);
}

#[test]
fn a_cart_takes_a_limited_number_of_products() {
    let mut writer = writer(memory());
    let full = (1..=MAX_LINES as i64).map(|product| item("ann", product, 1));
    assert!(commit(&mut writer, full).iter().all(Result::is_ok));

    let results = commit(&mut writer, [item("ann", 999, 1), item("ann", 1, 1)]);
    assert_eq!(results[0], Err(Refusal::CartFull.into()));
    assert!(results[1].is_ok(), "a line that exists may grow");
}
