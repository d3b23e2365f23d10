//! The routes of each host.

use std::{cmp::Ordering, sync::Arc};

use super::tree::Tree;
use crate::config::model::HostPattern;

/// Small sorted tables: a gateway has few hosts, and most have none.
#[derive(Debug, Clone)]
pub(super) struct Hosts<T> {
    /// By name, sorted.
    exact: Vec<(Arc<str>, Tree<T>)>,
    /// By the name that hosts are below, the longest first.
    below: Vec<(Arc<str>, Tree<T>)>,
    any: Tree<T>,
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self {
            exact: Vec::new(),
            below: Vec::new(),
            any: Tree::default(),
        }
    }
}

impl<T> Hosts<T> {
    /// The routes of a pattern, none of them if it is new.
    pub fn of(&mut self, pattern: Option<&HostPattern>) -> &mut Tree<T> {
        match pattern {
            None => &mut self.any,
            Some(HostPattern::Exact(name)) => {
                let place = self
                    .exact
                    .binary_search_by(|(known, _)| compare(known, name));
                tree(&mut self.exact, place, name)
            }
            Some(HostPattern::Below(name)) => {
                let order =
                    |known: &str| (usize::MAX - known.len()).cmp(&(usize::MAX - name.len()));
                let place = self
                    .below
                    .binary_search_by(|(known, _)| order(known).then_with(|| compare(known, name)));
                tree(&mut self.below, place, name)
            }
        }
    }

    /// The routes for a host, the most specific pattern's first.
    pub fn matching(&self, host: Option<&str>) -> impl Iterator<Item = &Tree<T>> {
        // The dot that ends a full name names no other host.
        let host = host.map(|host| host.strip_suffix('.').unwrap_or(host));
        let exact = host.and_then(|host| {
            let place = self
                .exact
                .binary_search_by(|(known, _)| compare(known, host))
                .ok()?;
            self.exact.get(place)
        });
        let below = self
            .below
            .iter()
            .filter(move |(name, _)| host.is_some_and(|host| is_below(host, name)));
        exact
            .into_iter()
            .chain(below)
            .map(|(_, tree)| tree)
            .chain([&self.any])
    }
}

fn tree<'t, T>(
    trees: &'t mut Vec<(Arc<str>, Tree<T>)>,
    place: Result<usize, usize>,
    name: &Arc<str>,
) -> &'t mut Tree<T> {
    let place = place.unwrap_or_else(|place| {
        trees.insert(place, (name.clone(), Tree::default()));
        place
    });
    &mut trees[place].1
}

/// Host names do not differ by case.
fn compare(known: &str, host: &str) -> Ordering {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    known.bytes().map(lower).cmp(host.bytes().map(lower))
}

fn is_below(host: &str, name: &str) -> bool {
    let Some(split) = host.len().checked_sub(name.len()) else {
        return false;
    };
    let (Some(front), Some(end)) = (host.as_bytes().get(..split), host.as_bytes().get(split..))
    else {
        return false;
    };
    // "." alone before the name would be an empty label.
    front.len() > 1 && front.ends_with(b".") && end.eq_ignore_ascii_case(name.as_bytes())
}
