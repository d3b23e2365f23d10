//! A name server on UDP and TCP, on a free port. It knows what it is told, and misbehaves as it is told.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use hickory_resolver::proto::{
    op::{Edns, Message, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{CNAME, SRV},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};

/// How questions are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// By the table.
    Well,
    /// Not at all.
    Silent,
    /// `SERVFAIL`.
    Fails,
    /// Over UDP with nothing but that it does not fit.
    Truncates,
    /// With bytes that are no message.
    Garbage,
    /// With an answer to another question, and then with the right one's identity but records of somebody else.
    Strangers,
}

pub struct NameServer {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    mood: Mutex<Mood>,
    table: Mutex<HashMap<(String, RecordType), Vec<Record>>>,
    questions: Mutex<Vec<(String, RecordType, &'static str)>>,
}

impl NameServer {
    pub async fn start() -> Self {
        let shared = Arc::new(Shared {
            mood: Mutex::new(Mood::Well),
            table: Mutex::default(),
            questions: Mutex::default(),
        });
        // A port that is free for one protocol may not be for the other.
        let (udp, tcp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = tcp.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, Arc::clone(&shared)));
        tasks.spawn(serve_tcp(tcp, Arc::clone(&shared)));
        Self {
            address,
            shared,
            _tasks: tasks,
        }
    }

    pub fn mood(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
    }

    /// Replaces the addresses of a name, of both families.
    pub fn host(&self, name: &str, ttl: u32, addresses: &[&str]) {
        for (kind, v4) in [(RecordType::A, true), (RecordType::AAAA, false)] {
            let addresses = addresses.iter().map(|ip| ip.parse::<IpAddr>().unwrap());
            let records = addresses.filter(|ip| ip.is_ipv4() == v4).map(|ip| {
                Record::from_rdata(Name::from_ascii(name).unwrap(), ttl, RData::from(ip))
            });
            self.set(name, kind, records.collect());
        }
    }

    /// Makes a name an alias.
    pub fn alias(&self, name: &str, ttl: u32, to: &str) {
        for kind in [RecordType::A, RecordType::AAAA] {
            let to = RData::CNAME(CNAME(Name::from_ascii(to).unwrap()));
            let record = Record::from_rdata(Name::from_ascii(name).unwrap(), ttl, to);
            self.set(name, kind, vec![record]);
        }
    }

    /// Priority, weight, port, target.
    pub fn services(&self, name: &str, ttl: u32, records: &[(u16, u16, u16, &str)]) {
        let record = |&(priority, weight, port, target): &(u16, u16, u16, &str)| {
            let target = Name::from_ascii(target).unwrap();
            let data = RData::SRV(SRV::new(priority, weight, port, target));
            Record::from_rdata(Name::from_ascii(name).unwrap(), ttl, data)
        };
        self.set(name, RecordType::SRV, records.iter().map(record).collect());
    }

    /// The name does not exist any more.
    pub fn forget(&self, name: &str) {
        self.shared
            .table
            .lock()
            .unwrap()
            .retain(|(known, _), _| known != name);
    }

    /// Questions until now for a name: their kinds, and over what they came.
    pub fn questions(&self, name: &str) -> Vec<(RecordType, &'static str)> {
        let all = self.shared.questions.lock().unwrap();
        let of = all.iter().filter(|(asked, ..)| asked == name);
        of.map(|(_, kind, over)| (*kind, *over)).collect()
    }

    pub fn all_questions(&self) -> Vec<String> {
        let all = self.shared.questions.lock().unwrap();
        all.iter().map(|(name, ..)| name.clone()).collect()
    }

    fn set(&self, name: &str, kind: RecordType, records: Vec<Record>) {
        let mut table = self.shared.table.lock().unwrap();
        table.insert((name.to_owned(), kind), records);
    }
}

async fn serve_udp(socket: UdpSocket, shared: Arc<Shared>) {
    let mut buffer = [0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        for answer in shared.answers(&buffer[..length], "udp") {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        connections.spawn(serve_stream(stream, Arc::clone(&shared)));
    }
}

async fn serve_stream(mut stream: TcpStream, shared: Arc<Shared>) {
    while let Ok(length) = stream.read_u16().await {
        let mut question = vec![0; length.into()];
        if stream.read_exact(&mut question).await.is_err() {
            return;
        }
        for answer in shared.answers(&question, "tcp") {
            let _ = stream.write_u16(answer.len() as u16).await;
            let _ = stream.write_all(&answer).await;
        }
    }
}

impl Shared {
    fn answers(&self, question: &[u8], over: &'static str) -> Vec<Vec<u8>> {
        let question = Message::from_vec(question).unwrap();
        let query = question.queries[0].clone();
        let name = query.name().to_ascii().to_ascii_lowercase();
        let key = (name, query.query_type());
        self.questions
            .lock()
            .unwrap()
            .push((key.0.clone(), key.1, over));

        let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        if question.edns.is_some() {
            answer.set_edns(Edns::new());
        }
        let table = self.table.lock().unwrap();
        match table.get(&key) {
            Some(records) => _ = answer.add_answers(records.iter().cloned()),
            None => answer.metadata.response_code = ResponseCode::NXDomain,
        }
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Well => {}
            Mood::Silent => return Vec::new(),
            Mood::Garbage => return vec![vec![0xff; 40], b"rubbish".to_vec(), Vec::new()],
            Mood::Fails => {
                answer.answers.clear();
                answer.metadata.response_code = ResponseCode::ServFail;
            }
            Mood::Truncates if over == "udp" => {
                answer.answers.clear();
                answer.metadata.truncation = true;
            }
            Mood::Truncates => {}
            Mood::Strangers => {
                for record in &mut answer.answers {
                    record.name = Name::from_ascii("stranger.test.").unwrap();
                }
                let mut other = answer.clone();
                other.metadata.id = other.metadata.id.wrapping_add(1);
                return vec![other.to_vec().unwrap(), answer.to_vec().unwrap()];
            }
        }
        vec![answer.to_vec().unwrap()]
    }
}
