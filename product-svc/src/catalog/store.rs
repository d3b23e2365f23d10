use std::sync::Arc;

use super::{Product, ProductId};

/// Every product of this service, in the order of their ids, fixed for the life of the process.
#[derive(Debug, Clone)]
pub struct Catalog {
    // Sorted by id: a lookup is a binary search, and a page is a slice.
    products: Arc<[Arc<Product>]>,
}

/// Two products of one catalog have the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("two products have the id {0}")]
pub struct DuplicateId(pub ProductId);

impl Catalog {
    /// A catalog of these products.
    pub fn new(products: impl IntoIterator<Item = Product>) -> Result<Self, DuplicateId> {
        let mut products: Vec<_> = products.into_iter().map(Arc::new).collect();
        products.sort_by_key(|product| product.id);
        for pair in products.windows(2) {
            if let [first, second] = pair
                && first.id == second.id
            {
                return Err(DuplicateId(first.id));
            }
        }
        Ok(Self {
            products: products.into(),
        })
    }

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
        let catalog = Catalog::new([3, 1, 2].map(product)).unwrap();
        assert_eq!(ids(catalog.products()), ["1", "2", "3"]);
        for id in [1, 2, 3] {
            let id = ProductId::new(id).unwrap();
            assert_eq!(catalog.get(id).unwrap().id, id);
        }
        assert!(catalog.get(ProductId::new(4).unwrap()).is_none());
    }

    #[test]
    fn refuses_two_products_with_one_id() {
        let error = Catalog::new([7, 1, 7].map(product)).unwrap_err();
        assert_eq!(error, DuplicateId(ProductId::new(7).unwrap()));
    }

    #[test]
    fn pages_cover_everything_once() {
        let catalog = Catalog::new((1..=5).map(product)).unwrap();
        assert_eq!(ids(catalog.page(0, 2)), ["1", "2"]);
        assert_eq!(ids(catalog.page(4, 2)), ["5"]);
        assert_eq!(ids(catalog.page(0, usize::MAX)), ["1", "2", "3", "4", "5"]);
        assert!(catalog.page(5, 2).is_empty());
        assert!(catalog.page(usize::MAX, usize::MAX).is_empty());
    }
}
