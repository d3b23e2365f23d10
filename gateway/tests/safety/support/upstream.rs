//! An upstream that remembers everything it was sent, and answers with whatever bytes the test gives it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::message::{self, Message, Read};

/// What is done once a request is there.
#[derive(Clone)]
pub enum Reply {
    /// A plain 200 whose body is method and target of the request, and the length of its body.
    Plain,
    /// These bytes; then the connection goes on.
    Bytes(Vec<u8>),
    /// These bytes, and the end of the connection.
    Last(Vec<u8>),
    /// These bytes as soon as the request's head is there, and then whatever comes is sent back.
    Tunnel(Vec<u8>),
    /// Nothing.
    Silence,
}

impl Reply {
    pub fn bytes(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }

    pub fn last(text: &str) -> Self {
        Self::Last(text.as_bytes().to_vec())
    }
}

#[derive(Default)]
struct Shared {
    reply: Mutex<Option<Reply>>,
    got: Mutex<Vec<Message>>,
    rubbish: Mutex<Vec<String>>,
}

pub struct Upstream {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

/// The path of a test's own requests, which show that everything before them has been dealt with: always answered plainly.
pub const CANARY: &str = "/canary";

/// Whether a request is one of the test's own.
pub fn is_canary(message: &Message) -> bool {
    message
        .asked()
        .split_once(' ')
        .is_some_and(|(_, target)| target.starts_with(CANARY))
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                // They end with the upstream.
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
            }
        });
        Self {
            address,
            shared,
            accepting,
        }
    }

    pub fn reply(&self, reply: Reply) {
        *self.shared.reply.lock().unwrap() = Some(reply);
    }

    /// The requests since the last time, and what was no request.
    pub fn take(&self) -> (Vec<Message>, Vec<String>) {
        let got = std::mem::take(&mut *self.shared.got.lock().unwrap());
        let rubbish = std::mem::take(&mut *self.shared.rubbish.lock().unwrap());
        (got, rubbish)
    }

    /// How many requests there are to take.
    pub fn arrivals(&self) -> usize {
        self.shared.got.lock().unwrap().len()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connection(mut stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let mut bytes = Vec::new();
    loop {
        match message::request(&bytes) {
            Read::Message(message, length) => {
                bytes.drain(..length);
                let reply = reply_to(&message, &shared);
                shared.got.lock().unwrap().push(message);
                if !answer(&mut stream, reply).await {
                    return;
                }
                continue;
            }
            Read::Rubbish(why) => {
                let text = String::from_utf8_lossy(&bytes);
                shared
                    .rubbish
                    .lock()
                    .unwrap()
                    .push(format!("{why} in {text:?}"));
                return;
            }
            Read::More => {}
        }
        let mut buffer = [0; 16 * 1024];
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&buffer[..read]),
            // A request that was given up is no smuggled one.
            _ => return,
        }
    }
}

fn reply_to(message: &Message, shared: &Shared) -> Reply {
    let reply = shared.reply.lock().unwrap().clone();
    match reply {
        Some(reply) if !is_canary(message) => match reply {
            Reply::Plain => plain(message),
            reply => reply,
        },
        _ => plain(message),
    }
}

fn plain(message: &Message) -> Reply {
    let body = format!("{} {}", message.asked(), message.body.len());
    let shown = if message.start.starts_with("HEAD ") {
        ""
    } else {
        &body
    };
    Reply::bytes(&format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{shown}",
        body.len()
    ))
}

/// Whether the connection goes on.
async fn answer(stream: &mut TcpStream, reply: Reply) -> bool {
    match reply {
        Reply::Plain => true,
        Reply::Bytes(bytes) => stream.write_all(&bytes).await.is_ok(),
        Reply::Last(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            false
        }
        Reply::Tunnel(bytes) => {
            if stream.write_all(&bytes).await.is_ok() {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            }
            false
        }
        Reply::Silence => {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            false
        }
    }
}
