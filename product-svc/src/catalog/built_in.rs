use super::{Price, Product, ProductId};

/// The products sold when the configuration lists none: the ones that the published experiments used. Prices are in cents.
const BUILT_IN: [(u64, &str, u64, u32, &str); 5] = [
    (1, "Laptop", 99_999, 10, "computers"),
    (2, "Mouse", 2_999, 100, "peripherals"),
    (3, "Keyboard", 7_999, 50, "peripherals"),
    (4, "Monitor", 19_999, 20, "peripherals"),
    (5, "Headphones", 14_999, 30, "audio"),
];

/// The built-in products.
pub fn built_in() -> Vec<Product> {
    BUILT_IN
        .iter()
        .filter_map(|&(id, name, cents, stock, category)| {
            Some(Product {
                id: ProductId::new(id)?,
                name: name.to_owned(),
                price: Price::from_cents(cents)?,
                stock,
                category: Some(category.into()),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_the_experiments_publish() {
        assert_eq!(
            serde_json::to_value(built_in()).unwrap(),
            serde_json::json!([
                {"id": 1, "name": "Laptop", "price": 999.99, "stock": 10},
                {"id": 2, "name": "Mouse", "price": 29.99, "stock": 100},
                {"id": 3, "name": "Keyboard", "price": 79.99, "stock": 50},
                {"id": 4, "name": "Monitor", "price": 199.99, "stock": 20},
                {"id": 5, "name": "Headphones", "price": 149.99, "stock": 30},
            ])
        );
    }
}
