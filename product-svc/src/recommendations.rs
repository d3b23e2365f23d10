//! What else a customer who looks at one product may want.
//!
//! A recommendation is another product that can be bought now (stock above 0). Products of the same category come
//! first, then the rest; within both the nearest price comes first, and of two equally near the one with the lower id.
//! The answer depends on nothing but the catalog, so every replica gives the same.

use std::{
    collections::{BTreeMap, HashMap},
    iter::Peekable,
    sync::Arc,
};

use crate::catalog::{Catalog, Price, Product, ProductId};

/// Finds similar products in time that depends on how many are wanted, not on the size of the catalog.
#[derive(Debug)]
pub struct Recommender {
    catalog: Catalog,
    all: PriceIndex,
    by_category: HashMap<Arc<str>, PriceIndex>,
}

impl Recommender {
    /// Recommendations out of this catalog.
    pub fn new(catalog: Catalog) -> Self {
        let mut all = PriceIndex::default();
        let mut by_category: HashMap<Arc<str>, PriceIndex> = HashMap::new();
        for product in catalog
            .products()
            .iter()
            .filter(|product| product.stock > 0)
        {
            all.insert(product);
            if let Some(category) = &product.category {
                by_category
                    .entry(Arc::clone(category))
                    .or_default()
                    .insert(product);
            }
        }
        Self {
            catalog,
            all,
            by_category,
        }
    }

    /// At most `limit` products similar to this one, the most similar first; `None` when the catalog has no such
    /// product.
    pub fn similar_to(&self, id: ProductId, limit: usize) -> Option<Vec<&Product>> {
        let wanted = self.catalog.get(id)?;
        let category = wanted
            .category
            .as_ref()
            .and_then(|category| self.by_category.get(category));
        let same_category = category
            .into_iter()
            .flat_map(|index| index.nearest(wanted.price));
        // This part is reached only when the category holds fewer than `limit` products, so few are skipped here.
        let others = self
            .all
            .nearest(wanted.price)
            .filter(|other| wanted.category.is_none() || other.category != wanted.category);
        Some(
            same_category
                .chain(others)
                .filter(|other| other.id != id)
                .take(limit)
                .collect(),
        )
    }
}

/// Products by price, each price's products in the order of their ids.
#[derive(Debug, Default)]
struct PriceIndex(BTreeMap<Price, Vec<Arc<Product>>>);

impl PriceIndex {
    /// Products must come in the order of their ids.
    fn insert(&mut self, product: &Arc<Product>) {
        self.0
            .entry(product.price)
            .or_default()
            .push(Arc::clone(product));
    }

    /// All products, the nearest price first, of equally near ones the lowest id first.
    fn nearest(&self, price: Price) -> impl Iterator<Item = &Product> {
        let cheaper = self
            .0
            .range(..price)
            .rev()
            .flat_map(|(_, products)| products);
        let dearer = self.0.range(price..).flat_map(|(_, products)| products);
        Merge {
            price,
            cheaper: cheaper.peekable(),
            dearer: dearer.peekable(),
        }
    }
}

/// Merges two sequences that are each ordered by the distance from `price`.
struct Merge<A: Iterator, B: Iterator> {
    price: Price,
    cheaper: Peekable<A>,
    dearer: Peekable<B>,
}

impl<'a, A, B> Iterator for Merge<A, B>
where
    A: Iterator<Item = &'a Arc<Product>>,
    B: Iterator<Item = &'a Arc<Product>>,
{
    type Item = &'a Product;

    fn next(&mut self) -> Option<Self::Item> {
        let rank = |product: &Product| {
            (
                product.price.cents().abs_diff(self.price.cents()),
                product.id,
            )
        };
        let take_cheaper = match (self.cheaper.peek(), self.dearer.peek()) {
            (Some(cheaper), Some(dearer)) => rank(cheaper) < rank(dearer),
            (Some(_), None) => true,
            (None, _) => false,
        };
        let next = if take_cheaper {
            self.cheaper.next()
        } else {
            self.dearer.next()
        };
        next.map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::built_in;

    fn id(number: u64) -> ProductId {
        ProductId::new(number).unwrap()
    }

    fn product(number: u64, cents: u64, stock: u32, category: Option<&str>) -> Product {
        Product {
            id: id(number),
            name: format!("product {number}"),
            price: Price::from_cents(cents).unwrap(),
            stock,
            category: category.map(Into::into),
        }
    }

    fn recommender(products: impl IntoIterator<Item = Product>) -> Recommender {
        Recommender::new(products.into_iter().collect())
    }

    fn similar(recommender: &Recommender, number: u64, limit: usize) -> Vec<ProductId> {
        recommender
            .similar_to(id(number), limit)
            .unwrap()
            .into_iter()
            .map(|product| product.id)
            .collect()
    }

    #[test]
    fn same_category_first_then_the_nearest_price() {
        let shop = recommender(built_in());
        // Keyboard: the other peripherals by price (Mouse 50.00 away, Monitor 120.00), then Headphones, then Laptop.
        assert_eq!(similar(&shop, 3, 10), [2, 4, 5, 1].map(id));
        // Laptop: alone in its category, so by price only.
        assert_eq!(similar(&shop, 1, 10), [4, 5, 3, 2].map(id));
        assert_eq!(similar(&shop, 3, 2), [2, 4].map(id));
    }

    #[test]
    fn never_the_product_itself_nor_what_is_sold_out() {
        let shop = recommender([
            product(1, 100, 0, None),
            product(2, 100, 0, None),
            product(3, 900, 1, None),
        ]);
        assert_eq!(similar(&shop, 1, 10), [3].map(id));
        assert_eq!(similar(&shop, 3, 10), [].map(id));
    }

    #[test]
    fn unknown_products_have_no_answer() {
        assert!(recommender(built_in()).similar_to(id(6), 10).is_none());
    }

    #[test]
    fn agrees_with_sorting_the_whole_catalog() {
        let categories = [None, Some("a"), Some("b"), Some("c")];
        // A small multiplicative generator: many equal prices, equal distances and sold-out products.
        let mut seed = 7_u64;
        let mut draw = |bound: u64| {
            seed = seed * 48_271 % 2_147_483_647;
            seed % bound
        };
        let products: Vec<_> = (1..=120)
            .map(|number| {
                product(
                    number,
                    draw(25),
                    draw(4) as u32,
                    categories[draw(4) as usize],
                )
            })
            .collect();
        let shop = recommender(products.clone());
        for wanted in &products {
            let mut expected: Vec<_> = products
                .iter()
                .filter(|other| other.id != wanted.id && other.stock > 0)
                .collect();
            expected.sort_by_key(|other| {
                let same = wanted.category.is_some() && other.category == wanted.category;
                (
                    !same,
                    other.price.cents().abs_diff(wanted.price.cents()),
                    other.id,
                )
            });
            for limit in [0, 1, 7, 500] {
                let expected: Vec<_> = expected
                    .iter()
                    .take(limit)
                    .map(|product| product.id)
                    .collect();
                let got: Vec<_> = shop
                    .similar_to(wanted.id, limit)
                    .unwrap()
                    .into_iter()
                    .map(|product| product.id)
                    .collect();
                assert_eq!(got, expected, "similar to {} (limit {limit})", wanted.id);
            }
        }
    }
}
