//! A client connection that sends whatever it is given and reads what comes back.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::message::{self, Message, Read};

/// Far beyond what any answer takes, and below the deadlines of whole tests.
const DEADLINE: Duration = Duration::from_secs(15);

pub struct Connection {
    stream: TcpStream,
    /// What has come and was not read as an answer.
    pub unread: Vec<u8>,
    pub closed: bool,
}

impl Connection {
    pub async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
            closed: false,
        }
    }

    /// Errors are the other side's closing, which reading shows.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        match timeout(DEADLINE, self.stream.write_all(bytes)).await {
            Ok(written) => written.is_ok(),
            Err(_) => false,
        }
    }

    /// Says that nothing more will be sent.
    pub async fn end_sending(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// More bytes, or the end. An error is an end.
    async fn more(&mut self) -> Result<(), String> {
        let mut buffer = vec![0; 64 * 1024];
        match timeout(DEADLINE, self.stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => self.closed = true,
            Ok(Ok(read)) => self.unread.extend_from_slice(&buffer[..read]),
            Err(_) => {
                return Err(format!(
                    "neither bytes nor an end came; so far {:?}",
                    String::from_utf8_lossy(&self.unread)
                ));
            }
        }
        Ok(())
    }

    /// The next answer, informational ones too; `None` if the connection has ended.
    pub async fn answer(&mut self, to_head: bool) -> Result<Option<Message>, String> {
        loop {
            match message::response(&self.unread, to_head, self.closed) {
                Read::Message(message, length) => {
                    self.unread.drain(..length);
                    return Ok(Some(message));
                }
                Read::Rubbish(why) => return Err(format!("the answer is no HTTP: {why}")),
                Read::More if self.closed && self.unread.is_empty() => return Ok(None),
                Read::More if self.closed => {
                    let unread = String::from_utf8_lossy(&self.unread);
                    return Err(format!("the connection ended within a head: {unread:?}"));
                }
                Read::More => self.more().await?,
            }
        }
    }

    /// At least so many bytes, or what came before the end.
    pub async fn bytes(&mut self, count: usize) -> Result<&[u8], String> {
        while self.unread.len() < count && !self.closed {
            self.more().await?;
        }
        Ok(&self.unread)
    }

    /// Waits for the end, and gives what came before it.
    pub async fn ended(&mut self) -> Result<Vec<u8>, String> {
        while !self.closed {
            self.more().await?;
        }
        Ok(std::mem::take(&mut self.unread))
    }
}
