use std::{collections::BTreeMap, sync::Arc};

use super::{Product, ProductId};

/// Every product of this service, in the order of their ids, fixed for the life of the process.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    // Sorted by id: a lookup is a binary search, and a page is a slice.
    products: Arc<[Arc<Product>]>,
}

/// Of two products with the same id the later one counts.
impl FromIterator<Product> for Catalog {
    fn from_iter<I: IntoIterator<Item = Product>>(products: I) -> Self {
        let by_id: BTreeMap<_, _> = products
            .into_iter()
            .map(|product| (product.id, Arc::new(product)))
            .collect();
        Self {
            products: by_id.into_values().collect(),
        }
    }
}

impl Catalog {
    /// The product with this id.
    pub fn get(&self, id: ProductId) -> Option<&Arc<Product>> {
        let position = self
            .products
            .binary_search_by_key(&id, |product| product.id)
            .ok()?;
        self.products.get(position)
    }

    /// All products, in the order of their ids.
    pub fn products(&self) -> &[Arc<Product>] {
        &self.products
    }

    /// At most `limit` products after the first `offset`; empty past the end.
    pub fn page(&self, offset: usize, limit: usize) -> &[Arc<Product>] {
        let rest = self.products.get(offset..).unwrap_or_default();
        rest.get(..limit).unwrap_or(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Price;

    fn product(id: u64) -> Product {
        Product {
            id: ProductId::new(id).unwrap(),
            name: format!("product {id}"),
            price: Price::from_cents(id * 100).unwrap(),
            stock: 1,
            category: None,
        }
    }

    fn ids(products: &[Arc<Product>]) -> Vec<String> {
        products
            .iter()
            .map(|product| product.id.to_string())
            .collect()
    }

    #[test]
    fn keeps_the_order_of_ids_whatever_the_input_order() {
        let catalog = Catalog::from_iter([3, 1, 2].map(product));
        assert_eq!(ids(catalog.products()), ["1", "2", "3"]);
        for id in [1, 2, 3] {
            let id = ProductId::new(id).unwrap();
            assert_eq!(catalog.get(id).unwrap().id, id);
        }
        assert!(catalog.get(ProductId::new(4).unwrap()).is_none());
    }

    #[test]
    fn the_later_of_two_products_with_one_id_counts() {
        let renamed = Product {
            name: "renamed".to_owned(),
            ..product(7)
        };
        let catalog: Catalog = [product(7), product(1), renamed].into_iter().collect();
        assert_eq!(ids(catalog.products()), ["1", "7"]);
        assert_eq!(
            catalog.get(ProductId::new(7).unwrap()).unwrap().name,
            "renamed"
        );
    }

    #[test]
    fn pages_cover_everything_once() {
        let catalog = Catalog::from_iter((1..=5).map(product));
        assert_eq!(ids(catalog.page(0, 2)), ["1", "2"]);
        assert_eq!(ids(catalog.page(4, 2)), ["5"]);
        assert_eq!(ids(catalog.page(0, usize::MAX)), ["1", "2", "3", "4", "5"]);
        assert!(catalog.page(5, 2).is_empty());
        assert!(catalog.page(usize::MAX, usize::MAX).is_empty());
    }
}
