//! How much of a response's body will be sent.

use http::{Method, Response, StatusCode, header::CONTENT_LENGTH};

/// What a request asks for, as far as its answer's body is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Body,
    /// `HEAD`: whatever body the answer holds, nobody will read it.
    Head,
    /// `CONNECT`: after a success there is a tunnel, and no body.
    Tunnel,
}

impl Asked {
    #[inline]
    pub(crate) fn by(method: &Method) -> Self {
        match *method {
            Method::HEAD => Self::Head,
            Method::CONNECT => Self::Tunnel,
            _ => Self::Body,
        }
    }

    /// Whether this answer makes a tunnel of the connection, which may outlive it ([RFC 9110, 7.8 and 9.3.6](https://www.rfc-editor.org/rfc/rfc9110)).
    #[inline]
    pub(crate) fn gets_tunnel(self, status: StatusCode) -> bool {
        status == StatusCode::SWITCHING_PROTOCOLS || (self == Self::Tunnel && status.is_success())
    }
}

/// How much of a response's body will be sent, as its head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// Nothing, whatever it holds: nobody will read it.
    NoBody,
    Announced(u64),
    Unknown,
}

impl Length {
    #[inline]
    pub(crate) fn of<B>(response: &Response<B>, asked: Asked) -> Self {
        let status = response.status();
        if asked == Asked::Head
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || asked.gets_tunnel(status)
        {
            return Self::NoBody;
        }
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        length.map_or(Self::Unknown, Self::Announced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &str, status: u16, length: &str) -> Length {
        let response = Response::builder()
            .status(status)
            .header(CONTENT_LENGTH, length)
            .body(())
            .unwrap();
        Length::of(&response, Asked::by(&method.parse().unwrap()))
    }

    #[test]
    fn the_head_says_how_much_will_be_sent() {
        for (method, status) in [
            ("HEAD", 200),
            ("GET", 101),
            ("GET", 204),
            ("GET", 304),
            ("CONNECT", 200),
            ("CONNECT", 299),
        ] {
            assert_eq!(of(method, status, "5"), Length::NoBody, "{method} {status}");
        }
        for (method, status) in [("GET", 200), ("POST", 503), ("CONNECT", 407)] {
            assert_eq!(
                of(method, status, "5"),
                Length::Announced(5),
                "{method} {status}"
            );
        }
        for length in ["", "-1", "five", "5, 5", "99999999999999999999"] {
            assert_eq!(of("GET", 200, length), Length::Unknown, "{length}");
        }
    }

    #[test]
    fn a_tunnel_is_what_was_asked_for_and_granted() {
        let tunnel = |method: Method, status| {
            Asked::by(&method).gets_tunnel(StatusCode::from_u16(status).unwrap())
        };
        assert!(tunnel(Method::GET, 101));
        assert!(tunnel(Method::CONNECT, 200));
        assert!(!tunnel(Method::CONNECT, 403));
        assert!(!tunnel(Method::GET, 200));
        assert!(!tunnel(Method::HEAD, 204));
    }
}
