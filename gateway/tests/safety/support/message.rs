//! A strict reader of HTTP/1.1 messages: whatever is not plainly one is refused, so that nothing is overlooked.

/// A request or response.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// The request or status line.
    pub start: String,
    /// In order, names as they were written.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// The body ended as its framing says.
    pub is_whole: bool,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("start", &self.start)
            .field("fields", &self.fields)
            .field("body", &self.text())
            .field("trailers", &self.trailers)
            .field("is_whole", &self.is_whole)
            .finish()
    }
}

/// What bytes are.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// A message, and how many bytes it took.
    Message(Message, usize),
    /// The beginning of one, perhaps.
    More,
    /// No message, for this reason.
    Rubbish(String),
}

/// How long a body is.
enum Length {
    Fixed(usize),
    Chunked,
    UntilClose,
}

impl Message {
    pub fn field<'m>(&'m self, name: &'m str) -> Option<&'m str> {
        let mut values = self.values(name);
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    pub fn values<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m str> {
        self.fields
            .iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Of a response.
    pub fn status(&self) -> u16 {
        let digits = self.start.split(' ').nth(1).unwrap_or_default();
        digits
            .parse()
            .unwrap_or_else(|_| panic!("no status line: {:?}", self.start))
    }

    /// Of a request: method and target.
    pub fn asked(&self) -> &str {
        self.start.rsplit_once(' ').map_or("", |(asked, _)| asked)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads a request.
pub fn request(bytes: &[u8]) -> Read {
    let (mut message, at) = match head(bytes) {
        Ok(Some(head)) => head,
        Ok(None) => return Read::More,
        Err(why) => return Read::Rubbish(why),
    };
    let parts: Vec<&str> = message.start.split(' ').collect();
    let [method, target, "HTTP/1.1"] = parts[..] else {
        return Read::Rubbish(format!("the request line {:?}", message.start));
    };
    if method.is_empty() || !method.bytes().all(is_token) || target.is_empty() {
        return Read::Rubbish(format!("the request line {:?}", message.start));
    }
    match framing(&message) {
        Ok(None) => body(&mut message, Length::Fixed(0), bytes, at, false),
        Ok(Some(length)) => body(&mut message, length, bytes, at, false),
        Err(why) => Read::Rubbish(why),
    }
}

/// Reads a response. `to_head` is for one that has no body whatever its head says; `closed` is whether no more bytes will come.
pub fn response(bytes: &[u8], to_head: bool, closed: bool) -> Read {
    let (mut message, at) = match head(bytes) {
        Ok(Some(head)) => head,
        Ok(None) => return Read::More,
        Err(why) => return Read::Rubbish(why),
    };
    if !message.start.starts_with("HTTP/1.1 ") && !message.start.starts_with("HTTP/1.0 ") {
        return Read::Rubbish(format!("the status line {:?}", message.start));
    }
    let status = message.status();
    if to_head || status < 200 || status == 204 || status == 304 {
        message.is_whole = true;
        return Read::Message(message, at);
    }
    match framing(&message) {
        Ok(None) => body(&mut message, Length::UntilClose, bytes, at, closed),
        Ok(Some(length)) => body(&mut message, length, bytes, at, closed),
        Err(why) => Read::Rubbish(why),
    }
}

fn head(bytes: &[u8]) -> Result<Option<(Message, usize)>, String> {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = bytes[..end]
        .iter()
        .map(|&byte| char::from(byte))
        .collect::<String>();
    let mut lines = text.split("\r\n");
    let mut message = Message {
        start: lines.next().unwrap_or_default().to_owned(),
        ..Message::default()
    };
    message.fields = fields(lines)?;
    Ok(Some((message, end + 4)))
}

fn fields<'l>(lines: impl Iterator<Item = &'l str>) -> Result<Vec<(String, String)>, String> {
    lines
        .map(|line| {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("a header without a colon: {line:?}"))?;
            let is_clean = !name.is_empty()
                && name.bytes().all(is_token)
                && !value
                    .chars()
                    .any(|c| c.is_control() && c != '\t' && c < '\u{80}');
            is_clean
                .then(|| (name.to_owned(), value.trim().to_owned()))
                .ok_or_else(|| format!("the header {line:?}"))
        })
        .collect()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn framing(message: &Message) -> Result<Option<Length>, String> {
    let encodings: Vec<&str> = message.values("transfer-encoding").collect();
    let lengths: Vec<&str> = message.values("content-length").collect();
    match (&encodings[..], &lengths[..]) {
        ([], []) => Ok(None),
        ([encoding], []) if encoding.eq_ignore_ascii_case("chunked") => Ok(Some(Length::Chunked)),
        ([], [length]) if length.bytes().all(|byte| byte.is_ascii_digit()) => length
            .parse()
            .map(|length| Some(Length::Fixed(length)))
            .map_err(|_| format!("the length {length:?}")),
        _ => Err(format!("framed by {encodings:?} and {lengths:?}")),
    }
}

fn body(message: &mut Message, length: Length, bytes: &[u8], at: usize, closed: bool) -> Read {
    let rest = &bytes[at..];
    match length {
        Length::Fixed(length) if rest.len() >= length => {
            message.body = rest[..length].to_vec();
            message.is_whole = true;
            Read::Message(std::mem::take(message), at + length)
        }
        Length::UntilClose if closed => {
            message.body = rest.to_vec();
            // Nothing tells whether more should have come.
            Read::Message(std::mem::take(message), bytes.len())
        }
        Length::Chunked => chunked(message, bytes, at, closed),
        Length::Fixed(_) if closed => {
            message.body = rest.to_vec();
            Read::Message(std::mem::take(message), bytes.len())
        }
        Length::Fixed(_) | Length::UntilClose => Read::More,
    }
}

fn chunked(message: &mut Message, bytes: &[u8], mut at: usize, closed: bool) -> Read {
    let unfinished = |message: &mut Message| {
        if closed {
            Read::Message(std::mem::take(message), bytes.len())
        } else {
            Read::More
        }
    };
    loop {
        let Some(line) = find(&bytes[at..], b"\r\n") else {
            return unfinished(message);
        };
        let size = String::from_utf8_lossy(&bytes[at..at + line]).into_owned();
        at += line + 2;
        let is_hex = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let Some(size) = usize::from_str_radix(&size, 16).ok().filter(|_| is_hex) else {
            return Read::Rubbish(format!("the chunk size {size:?}"));
        };
        if size == 0 {
            break;
        }
        let Some(chunk) = bytes.get(at..at + size + 2) else {
            message.body.extend_from_slice(&bytes[at..]);
            return unfinished(message);
        };
        let Some(chunk) = chunk.strip_suffix(b"\r\n") else {
            return Read::Rubbish("a chunk that goes on after its end".to_owned());
        };
        message.body.extend_from_slice(chunk);
        at += size + 2;
    }
    // The trailers end with an empty line, which may be the first.
    let Some(end) = find(&bytes[at - 2..], b"\r\n\r\n") else {
        return unfinished(message);
    };
    let text = String::from_utf8_lossy(&bytes[at..at.max(at - 2 + end)]).into_owned();
    match fields(text.split("\r\n").filter(|line| !line.is_empty())) {
        Ok(trailers) => message.trailers = trailers,
        Err(why) => return Read::Rubbish(why),
    }
    message.is_whole = true;
    Read::Message(std::mem::take(message), at - 2 + end + 4)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[test]
fn reads_what_is_plain_and_nothing_else() {
    let plain = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\nmore";
    let Read::Message(message, length) = request(plain) else {
        panic!("not read");
    };
    assert_eq!(
        (message.asked(), &message.body[..]),
        ("POST /a", &b"abc"[..])
    );
    assert_eq!(message.trailers, [("X".to_owned(), "y".to_owned())]);
    assert_eq!(&plain[length..], b"more");
    assert_eq!(request(&plain[..plain.len() - 6]), Read::More);
    for rubbish in [
        "GET /a HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET /a HTTP/1.1\r\n fold: a\r\n\r\n",
        "GET  /a HTTP/1.1\r\n\r\n",
        "GET /a HTTP/1.0\r\n\r\n",
        "GET /a HTTP/1.1\r\nA: b\rc\r\n\r\n",
        "GET /a HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\n\r\n",
        "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
    ] {
        assert!(
            matches!(request(rubbish.as_bytes()), Read::Rubbish(_)),
            "{rubbish:?}"
        );
    }
}
