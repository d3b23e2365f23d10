//! The workers' threads.

use std::{future::Future, io, pin::Pin, sync::Arc, thread, time::Duration};

use service_kit::runtime::OwnServer;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Signals, Socket, local::Worker};
use crate::data::plane::Plane;

/// The running workers.
#[derive(Debug)]
pub struct Server {
    signals: Signals,
    connections: Vec<TaskTracker>,
}

impl Server {
    /// Starts a worker for each of these, with a socket of each listener.
    ///
    /// # Errors
    /// A thread or its runtime could not be made.
    pub fn start(plane: &Arc<Plane>, workers: Vec<Vec<Socket>>) -> io::Result<Self> {
        let signals = Signals::default();
        let mut connections = Vec::with_capacity(workers.len());
        for (number, sockets) in workers.into_iter().enumerate() {
            for socket in &sockets {
                socket.listener.set_nonblocking(true)?;
            }
            let tracker = TaskTracker::new();
            connections.push(tracker.clone());
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let (plane, signals) = (plane.clone(), signals.clone());
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || {
                    let tasks = tokio::task::LocalSet::new();
                    tasks.block_on(&runtime, Worker::run(plane, sockets, signals, tracker));
                })?;
        }
        Ok(Self {
            signals,
            connections,
        })
    }

    async fn all_ended(&self) {
        for tracker in &self.connections {
            tracker.wait().await;
        }
    }

    fn open(&self) -> usize {
        self.connections.iter().map(TaskTracker::len).sum()
    }
}

impl OwnServer for Server {
    fn announce_drain(&self) {
        self.signals.announce();
    }

    fn finish<'a>(
        &'a self,
        limit: Duration,
        hurry: &'a CancellationToken,
    ) -> Pin<Box<dyn Future<Output = usize> + Send + 'a>> {
        Box::pin(async move {
            self.signals.announce();
            self.signals.closing.cancel();
            let left = tokio::select! {
                () = self.all_ended() => 0,
                () = tokio::time::sleep(limit) => self.open(),
                () = hurry.cancelled() => self.open(),
            };
            self.signals.limit.cancel();
            left
        })
    }
}
