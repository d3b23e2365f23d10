//! Being asked to stop: Ctrl-C, SIGTERM, or a terminal that was closed.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::LabError;

/// Which signal asked the lab to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    CtrlC,
    Terminate,
    HangUp,
}

impl Interrupt {
    /// 128 + the signal's number, as shells report it.
    pub fn exit_code(self) -> u8 {
        match self {
            Interrupt::HangUp => 129,
            Interrupt::CtrlC => 130,
            Interrupt::Terminate => 143,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Interrupt::HangUp => "the terminal was closed",
            Interrupt::CtrlC => "Ctrl-C",
            Interrupt::Terminate => "SIGTERM",
        }
    }
}

/// From the moment this exists none of the three signals ends the lab by itself.
pub struct Interrupts {
    ctrl_c: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Interrupts {
    pub fn listen() -> Result<Self, LabError> {
        let listen = |kind| signal(kind).map_err(LabError::Runtime);
        Ok(Self {
            ctrl_c: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    pub async fn next(&mut self) -> Interrupt {
        tokio::select! {
            _ = self.ctrl_c.recv() => Interrupt::CtrlC,
            _ = self.terminate.recv() => Interrupt::Terminate,
            _ = self.hang_up.recv() => Interrupt::HangUp,
        }
    }
}
