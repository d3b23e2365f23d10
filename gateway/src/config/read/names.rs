//! Which names upstreams go by.

use super::fields::Fields;
use crate::config::{model::Upstream, validated::UpstreamId};

#[derive(Debug)]
pub(super) struct Names(Vec<String>);

impl Names {
    pub fn of(upstreams: &[Upstream]) -> Self {
        Self(
            upstreams
                .iter()
                .map(|upstream| upstream.name.to_string())
                .collect(),
        )
    }

    /// The upstream that a key names; nothing if there is none of that name, which is noted.
    pub fn find(&self, fields: &mut Fields<'_>, key: &str) -> Option<UpstreamId> {
        let name = fields.text(key);
        let found = self.0.iter().position(|known| *known == name);
        // An empty name is a key that was missing, and was noted when it was read.
        if found.is_none() && !name.is_empty() {
            let allowed = if self.0.is_empty() {
                "the name of an upstream; none is configured under [upstreams.NAME]".to_owned()
            } else {
                format!("the name of an upstream: {}", self.0.join(", "))
            };
            fields.reject(key, allowed);
        }
        found.map(UpstreamId::at)
    }
}
