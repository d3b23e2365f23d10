//! One exchange: what is sent, and what must come of it.

use std::net::SocketAddr;

use serde_json::Value;

use super::{
    config,
    connection::Connection,
    gateway::Gateway,
    message::Message,
    upstream::{CANARY, Reply, Upstream, is_canary},
};

/// What must become of the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The gateway closes it.
    Closed,
    /// Another request on it is answered.
    Kept,
    /// Either.
    Any,
}

/// A row of a table.
#[derive(Clone)]
pub struct Case {
    name: String,
    send: Vec<u8>,
    statuses: Vec<&'static [u16]>,
    then: Then,
    reached: Vec<String>,
    reply: Reply,
    half_close: bool,
    to_head: bool,
    contains: Option<String>,
}

impl Case {
    /// Sends these bytes.
    pub fn new(name: &str, send: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.to_owned(),
            send: send.as_ref().to_vec(),
            statuses: Vec::new(),
            then: Then::Any,
            reached: Vec::new(),
            reply: Reply::Plain,
            half_close: false,
            to_head: false,
            contains: None,
        }
    }

    /// The next answer must have one of these statuses. An error must be a problem of the gateway's own; nothing reaches the upstream
    /// but what `reaches` says.
    pub fn answered(mut self, statuses: &'static [u16]) -> Self {
        self.statuses.push(statuses);
        self
    }

    /// Refused: one answer, and the end.
    pub fn refused(self, statuses: &'static [u16]) -> Self {
        self.answered(statuses).then(Then::Closed)
    }

    /// Passed on as this method and target, and answered.
    pub fn passes(self, asked: &str) -> Self {
        self.answered(&[200]).reaches(asked)
    }

    /// The upstream gets this method and target.
    pub fn reaches(mut self, asked: &str) -> Self {
        self.reached.push(asked.to_owned());
        self
    }

    /// What becomes of the connection.
    pub fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }

    /// How the upstream answers.
    pub fn reply(mut self, reply: Reply) -> Self {
        self.reply = reply;
        self
    }

    /// The client says after its bytes that there will be no more.
    pub fn half_close(mut self) -> Self {
        self.half_close = true;
        self
    }

    /// The request is a `HEAD`: its answer has no body.
    pub fn of_head(mut self) -> Self {
        self.to_head = true;
        self
    }

    /// In the last answer's body.
    pub fn contains(mut self, text: &str) -> Self {
        self.contains = Some(text.to_owned());
        self
    }
}

/// A gateway in front of a raw upstream that takes every path but the gateway's own.
pub struct Bench {
    pub gateway: Gateway,
    pub upstream: Upstream,
}

impl Bench {
    pub async fn start(settings: &str) -> Self {
        let upstream = Upstream::start().await;
        let text = format!(
            "{settings}\n[upstreams.only]\nurl = \"http://{}\"\ntimeout = \"10s\"\n[[route]]\npath = \"/{{*rest}}\"\nupstream = \"only\"\n",
            upstream.address
        );
        let gateway = Gateway::start(&config::file(&text), &["log.level=warn".to_owned()]).await;
        Self { gateway, upstream }
    }

    /// Runs every case, and fails with all that went wrong.
    pub async fn run(&self, cases: impl IntoIterator<Item = Case>) {
        let (mut failures, mut count) = (Vec::new(), 0);
        for case in cases {
            count += 1;
            if let Err(why) = self.run_one(&case).await {
                failures.push(format!("{}: {why}", case.name));
            }
        }
        assert!(count > 0);
        assert!(
            failures.is_empty(),
            "{} of {count} cases failed:\n{}",
            failures.len(),
            failures.join("\n")
        );
    }

    async fn run_one(&self, case: &Case) -> Result<(), String> {
        self.upstream.take();
        self.upstream.reply(case.reply.clone());
        let mut connection = Connection::to(self.gateway.http).await;
        connection.send(&case.send).await;
        if case.half_close {
            connection.end_sending().await;
        }
        let answers = self.answers(case, &mut connection).await?;
        match case.then {
            Then::Closed => {
                let more = connection.ended().await?;
                if !more.is_empty() {
                    let more = String::from_utf8_lossy(&more).into_owned();
                    return Err(format!("answered more than it was asked: {more:?}"));
                }
            }
            Then::Kept => self.still_answers(&mut connection).await?,
            Then::Any => {}
        }
        drop(connection);
        let got = self.reached().await?;
        if got.iter().map(Message::asked).ne(case.reached.iter()) {
            let got: Vec<_> = got.iter().map(Message::asked).collect();
            return Err(format!(
                "the upstream got {got:?} and not {:?}; answers {answers:?}",
                case.reached
            ));
        }
        Ok(())
    }

    async fn answers(
        &self,
        case: &Case,
        connection: &mut Connection,
    ) -> Result<Vec<Message>, String> {
        let mut answers = Vec::new();
        for allowed in &case.statuses {
            let Some(answer) = connection.answer(case.to_head).await? else {
                return Err(format!("closed without an answer; wanted {allowed:?}"));
            };
            if !allowed.contains(&answer.status()) {
                return Err(format!("answered with {answer:?} and not {allowed:?}"));
            }
            let is_from_upstream = matches!(case.reply, Reply::Bytes(_) | Reply::Last(_))
                && answer.field("content-type") != Some("application/problem+json");
            if answer.status() >= 400 && !case.to_head && !is_from_upstream {
                self.is_problem(&answer)?;
            }
            answers.push(answer);
        }
        if let Some(text) = &case.contains {
            let last = answers.last().map(Message::text).unwrap_or_default();
            if !last.contains(text.as_str()) {
                return Err(format!("{last:?} does not contain {text:?}"));
            }
        }
        Ok(answers)
    }

    /// RFC 9457, and nothing of what is inside.
    fn is_problem(&self, answer: &Message) -> Result<(), String> {
        let body: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("{error}: not a problem: {answer:?}"))?;
        let is_one = answer.field("content-type") == Some("application/problem+json")
            && body["status"] == answer.status()
            && body["title"].is_string();
        let inside = self.upstream.address.to_string();
        if !is_one || answer.text().contains(&inside) {
            return Err(format!(
                "not a problem, or one that says too much: {answer:?}"
            ));
        }
        Ok(())
    }

    /// What has reached the upstream, once everything before has been dealt with.
    pub async fn reached(&self) -> Result<Vec<Message>, String> {
        canary(self.gateway.http).await?;
        let (mut got, rubbish) = self.upstream.take();
        if !rubbish.is_empty() {
            return Err(format!("the upstream could not read {rubbish:?}"));
        }
        let all = got.len();
        got.retain(|message| !is_canary(message));
        if got.len() == all {
            return Err("the canary did not reach the upstream".to_owned());
        }
        Ok(got)
    }

    async fn still_answers(&self, connection: &mut Connection) -> Result<(), String> {
        let request = format!("GET {CANARY}?kept HTTP/1.1\r\nHost: a\r\n\r\n");
        connection.send(request.as_bytes()).await;
        match connection.answer(false).await? {
            Some(answer) if answer.text() == format!("GET {CANARY}?kept 0") => {}
            other => return Err(format!("the connection does not go on: {other:?}")),
        }
        Ok(())
    }
}

/// A request of a client that keeps to the rules.
async fn canary(gateway: SocketAddr) -> Result<(), String> {
    let mut connection = Connection::to(gateway).await;
    let request = format!("GET {CANARY} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    connection.send(request.as_bytes()).await;
    match connection.answer(false).await? {
        Some(answer) if answer.status() == 200 => Ok(()),
        other => Err(format!("the gateway no longer serves: {other:?}")),
    }
}
