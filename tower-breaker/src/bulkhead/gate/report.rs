//! What a gate says about itself.

use std::sync::Arc;

use super::{
    ADMITTED, DISPLACED, FULL, Gate, HIGH_ADMITTED, HIGH_REFUSED, LOW_ADMITTED, LOW_REFUSED,
    QUEUE_FULL, WAITED, WOULD_FULL, WOULD_QUEUE_FULL, WOULD_WAIT,
};
use crate::bulkhead::{
    adaptive::Adaptive,
    compartment::{self, Compartment},
    place::Priority,
    snapshot::{PartitionSnapshot, PrioritySnapshot, Refusals, Snapshot, WouldRefuse},
};

impl Gate {
    pub(in crate::bulkhead) fn snapshot(&self) -> Snapshot {
        let line = self.line();
        let refused = Refusals {
            full: self.counts.sum(FULL),
            queue_full: self.counts.sum(QUEUE_FULL),
            waited_too_long: self.counts.sum(WAITED),
            displaced: self.counts.sum(DISPLACED),
        };
        let admitted = self.counts.sum(ADMITTED);
        let low = (self.counts.sum(LOW_ADMITTED), self.counts.sum(LOW_REFUSED));
        let high = (
            self.counts.sum(HIGH_ADMITTED),
            self.counts.sum(HIGH_REFUSED),
        );
        // Counted one after the other, so a call may be in a later one only.
        let normal = (
            admitted.saturating_sub(low.0 + high.0),
            refused.total().saturating_sub(low.1 + high.1),
        );
        let priority = |(priority, (admitted, refused)): (Priority, (u64, u64))| PrioritySnapshot {
            priority,
            queued: line.queue.len_of(priority),
            admitted,
            refused,
        };
        let partition = |(index, compartment): (usize, &Compartment)| {
            let state = compartment.load();
            let counts = &compartment.counts;
            PartitionSnapshot {
                name: Arc::clone(&compartment.partition.name),
                guaranteed: state.guaranteed(),
                at_most: state.at_most(),
                in_flight: state.in_flight(),
                borrowed: state.borrowed(),
                queued: line.queue.len_in(Some(index)),
                admitted: counts.sum(compartment::ADMITTED),
                refused: Refusals {
                    full: counts.sum(compartment::FULL),
                    queue_full: counts.sum(compartment::QUEUE_FULL),
                    waited_too_long: counts.sum(compartment::WAITED),
                    displaced: counts.sum(compartment::DISPLACED),
                },
            }
        };
        Snapshot {
            id: self.id,
            name: Arc::clone(&self.name),
            max_concurrent: self.total(),
            max_queue: self.max_queue,
            max_wait: self.max_wait,
            dry_run: self.is_dry_run(),
            in_flight: self.in_flight(),
            queued: line.queue.len(),
            admitted,
            refused,
            would_refuse: WouldRefuse {
                full: self.counts.sum(WOULD_FULL),
                queue_full: self.counts.sum(WOULD_QUEUE_FULL),
                waited: self.counts.sum(WOULD_WAIT),
            },
            waits: line.waits.report(),
            partitions: self
                .compartments
                .iter()
                .enumerate()
                .map(partition)
                .collect(),
            priorities: [
                (Priority::Low, low),
                (Priority::Normal, normal),
                (Priority::High, high),
            ]
            .map(priority),
            adaptive: self.adaptive().map(Adaptive::figures),
        }
    }
}
