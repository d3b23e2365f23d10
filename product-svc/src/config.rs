//! The service's own part of the configuration. The common keys (listeners, log, drain, faults) are the kit's.

use std::{collections::HashMap, num::NonZeroUsize};

use service_kit::config::Section;

use crate::catalog::{
    Catalog, MAX_CATEGORY_LENGTH, MAX_NAME_LENGTH, MAX_STOCK, Price, Product, ProductId, built_in,
};

/// The most products one answer recommends, whoever asks.
pub const MAX_RECOMMENDATIONS: usize = 100;
const DEFAULT_RECOMMENDATIONS: i64 = 4;

/// A validated configuration.
#[derive(Debug)]
pub struct Config {
    /// What this process serves.
    pub roles: Roles,
    /// The products.
    pub catalog: Catalog,
    /// Products in one answer when the request does not say how many.
    pub recommendations: NonZeroUsize,
}

/// Which parts of the service this process serves; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// The products and their health.
    pub catalog: bool,
    /// What to recommend beside a product.
    pub recommendations: bool,
}

impl Config {
    /// Reads the service's keys; whatever is wrong is kept in `section`.
    pub fn read(section: &mut Section<'_>) -> Self {
        Self {
            roles: roles(section),
            catalog: catalog(&mut section.section_or_empty("catalog")),
            recommendations: recommendations(&mut section.section_or_empty("recommendations")),
        }
    }
}

fn roles(section: &mut Section<'_>) -> Roles {
    const ALL: [&str; 2] = ["catalog", "recommendations"];
    let chosen = section.choices("roles", &ALL, &ALL);
    if chosen.is_empty() {
        section.reject(
            "roles",
            "at least one of \"catalog\" and \"recommendations\"",
        );
    }
    let has = |role| chosen.iter().any(|chosen| chosen == role);
    Roles {
        catalog: has("catalog"),
        recommendations: has("recommendations"),
    }
}

fn recommendations(section: &mut Section<'_>) -> NonZeroUsize {
    let limit = section.integer(
        "limit",
        DEFAULT_RECOMMENDATIONS,
        1..=MAX_RECOMMENDATIONS as i64,
    );
    // The range keeps it positive and small.
    usize::try_from(limit)
        .ok()
        .and_then(NonZeroUsize::new)
        .unwrap_or(NonZeroUsize::MIN)
}

fn catalog(section: &mut Section<'_>) -> Catalog {
    if !section.contains("product") {
        // Asked for all the same, so that the key is known.
        section.list("product");
        return built_in().into_iter().collect();
    }
    let mut owners = HashMap::new();
    let mut products = Vec::new();
    for (index, mut entry) in section.list("product").into_iter().enumerate() {
        let id = id(&mut entry);
        if let Some(id) = id {
            match owners.get(&id) {
                Some(first) => {
                    entry.reject("id", format_args!("an id that no other product has (catalog.product[{first}] has this one)"));
                }
                None => {
                    owners.insert(id, index);
                }
            }
        }
        products.extend(product(&mut entry, id));
    }
    products.into_iter().collect()
}

/// Reads every field, so that all errors of one entry are found at once.
fn product(entry: &mut Section<'_>, id: Option<ProductId>) -> Option<Product> {
    let name = required(entry, "name", "a text", |entry| {
        text(entry, "name", MAX_NAME_LENGTH)
    });
    let price = price(entry);
    let stock = required(entry, "stock", "an integer", |entry| {
        entry.opt_integer("stock", 0..=i64::from(MAX_STOCK))
    });
    let category = text(entry, "category", MAX_CATEGORY_LENGTH);
    Some(Product {
        id: id?,
        name: name?,
        price: price?,
        stock: u32::try_from(stock?).ok()?,
        category: category.map(Into::into),
    })
}

fn id(entry: &mut Section<'_>) -> Option<ProductId> {
    let number = required(entry, "id", "a positive integer", |entry| {
        entry.opt_integer("id", 1..=i64::MAX)
    })?;
    u64::try_from(number).ok().and_then(ProductId::new)
}

fn price(entry: &mut Section<'_>) -> Option<Price> {
    let allowed = format!("a number from 0 to {}", Price::MAX);
    let units = required(entry, "price", &allowed, |entry| {
        entry.opt_float("price", 0.0..=Price::MAX.as_units())
    })?;
    match Price::from_units(units) {
        Ok(price) => Some(price),
        Err(error) => {
            entry.reject("price", error);
            None
        }
    }
}

/// A text that people can read: not blank, no control characters, not endless.
fn text(entry: &mut Section<'_>, key: &str, max_length: usize) -> Option<String> {
    let allowed =
        format!("a text of 1 to {max_length} characters, not blank, without control characters");
    let text = entry.opt_string(key)?;
    let readable = !text.trim().is_empty()
        && text.chars().count() <= max_length
        && !text.contains(char::is_control);
    if !readable {
        entry.reject(key, allowed);
        return None;
    }
    Some(text.trim().to_owned())
}

/// Reads a key that must be there; the getter itself complains about a wrong value.
fn required<T>(
    entry: &mut Section<'_>,
    key: &str,
    allowed: &str,
    read: impl FnOnce(&mut Section<'_>) -> Option<T>,
) -> Option<T> {
    if !entry.contains(key) {
        entry.reject(key, allowed);
        return None;
    }
    read(entry)
}
