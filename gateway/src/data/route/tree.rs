//! A tree of path segments. Each node is visited at most once for a path, so a look-up costs no more than the routes that share
//! the path's beginning, whatever the path.

use http::Method;

use super::{
    Key,
    pattern::Segment,
    rule::{Conditions, Rule},
};

/// Routes of one host.
#[derive(Debug, Clone)]
pub(super) struct Tree<T> {
    root: Node<T>,
}

#[derive(Debug, Clone)]
struct Node<T> {
    /// By segment, sorted: of the few that there are, a search finds one sooner than a hash is made.
    literals: Vec<(Box<str>, Node<T>)>,
    any: Option<Box<Node<T>>>,
    rest: Vec<Leaf<T>>,
    end: Vec<Leaf<T>>,
}

/// A route; those of the same path pattern stand in the order in which they are tried.
#[derive(Debug, Clone)]
struct Leaf<T> {
    conditions: Conditions,
    rule: Rule,
    target: T,
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self {
            root: Node::default(),
        }
    }
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            literals: Vec::new(),
            any: None,
            rest: Vec::new(),
            end: Vec::new(),
        }
    }
}

impl<T> Tree<T> {
    /// Adds a route, unless there is one that it conflicts with, which is returned.
    pub fn insert(&mut self, rule: Rule, target: T) -> Result<(), &Rule> {
        let mut node = &mut self.root;
        let mut is_prefix = false;
        for segment in &rule.path.segments {
            match segment {
                Segment::Literal(literal) => node = node.literal(literal),
                Segment::Any => node = node.any.get_or_insert_default(),
                Segment::Rest => is_prefix = true,
            }
        }
        let leaves = if is_prefix {
            &mut node.rest
        } else {
            &mut node.end
        };
        let conditions = Conditions {
            methods: rule.methods.clone(),
            headers: rule.headers.clone(),
        };
        if let Some(taken) = leaves
            .iter()
            .position(|leaf| leaf.conditions.conflicts(&conditions))
        {
            return Err(&leaves[taken].rule);
        }
        let place = leaves.partition_point(|leaf| leaf.conditions.rank() <= conditions.rank());
        let leaf = Leaf {
            conditions,
            rule,
            target,
        };
        leaves.insert(place, leaf);
        Ok(())
    }

    /// The first route that takes the request; `missed` becomes true if one was passed over for the method alone.
    pub fn find(&self, key: &Key<'_>, missed: &mut bool) -> Option<&T> {
        self.walk(key, &mut |leaf| {
            if !leaf.conditions.take_headers(key.headers) {
                return None;
            }
            let takes = leaf.conditions.take_method(key.method);
            *missed |= !takes;
            takes.then_some(&leaf.target)
        })
    }

    /// Adds the methods of all routes that would take the request with another one.
    pub fn methods(&self, key: &Key<'_>, methods: &mut Vec<Method>) {
        let _: Option<&T> = self.walk(key, &mut |leaf| {
            if leaf.conditions.take_headers(key.headers) {
                methods.extend(leaf.conditions.methods.iter().cloned());
            }
            None
        });
    }

    /// Visits the routes that take the path, the most specific first, until `visit` has found something.
    fn walk<'t, R>(
        &'t self,
        key: &Key<'_>,
        visit: &mut impl FnMut(&'t Leaf<T>) -> Option<R>,
    ) -> Option<R> {
        let segments = key.path.as_str().strip_prefix('/')?;
        self.root.walk(Some(segments), visit)
    }
}

impl<T> Node<T> {
    fn literal(&mut self, literal: &str) -> &mut Self {
        let place = match self.place(literal) {
            Ok(place) => place,
            Err(place) => {
                self.literals
                    .insert(place, (literal.into(), Self::default()));
                place
            }
        };
        &mut self.literals[place].1
    }

    fn place(&self, literal: &str) -> Result<usize, usize> {
        self.literals
            .binary_search_by(|(segment, _)| (**segment).cmp(literal))
    }

    /// `segments` is what is left of the path; `None` when nothing is, not even an empty last segment.
    fn walk<'t, R>(
        &'t self,
        segments: Option<&str>,
        visit: &mut impl FnMut(&'t Leaf<T>) -> Option<R>,
    ) -> Option<R> {
        let Some(segments) = segments else {
            return self.end.iter().find_map(visit);
        };
        let (segment, left) = match segments.split_once('/') {
            Some((segment, left)) => (segment, Some(left)),
            None => (segments, None),
        };
        if let Ok(place) = self.place(segment)
            && let Some((_, node)) = self.literals.get(place)
            && let Some(found) = node.walk(left, visit)
        {
            return Some(found);
        }
        if let Some(any) = self.any.as_ref().filter(|_| !segment.is_empty())
            && let Some(found) = any.walk(left, visit)
        {
            return Some(found);
        }
        self.rest.iter().find_map(visit)
    }
}
