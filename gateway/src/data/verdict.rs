//! What a proxied call says about the upstream.

use std::rc::Rc;

use http::{HeaderMap, Request, Response, header::CONTENT_TYPE};
use http_body::Body;
use tower::{BoxError, timeout::error::Elapsed};
use tower_breaker::classify::{
    BodyErrors, Classify, ClassifyBody, ClassifyCall, ClassifyEnd, Grpc, GrpcEnd, Head, HttpStatus,
    Verdict,
};

use super::{
    body::{Outgoing, RequestBodyError},
    exchange::Exchange,
};

/// Judges HTTP by status, gRPC by its own, both to the end of the body. A call that failed because of the client's own request
/// body, or took too long because the client did not send it, says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Judge;

/// Judges one call.
#[derive(Debug)]
pub struct JudgeCall {
    exchange: Rc<Exchange>,
    protocol: Protocol,
}

#[derive(Debug, Clone, Copy)]
enum Protocol {
    Http,
    Grpc,
}

/// Judges the end of one body.
#[derive(Debug)]
pub enum JudgeEnd {
    /// Of plain HTTP.
    Http(BodyErrors),
    /// Of gRPC.
    Grpc(GrpcEnd),
}

impl<Res> Classify<Request<Outgoing>, Res, BoxError> for Judge
where
    JudgeCall: ClassifyCall<Res, BoxError>,
{
    type Call = JudgeCall;

    fn begin(&self, request: &Request<Outgoing>) -> JudgeCall {
        let is_grpc = request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        JudgeCall {
            exchange: request.body().exchange().clone(),
            protocol: if is_grpc {
                Protocol::Grpc
            } else {
                Protocol::Http
            },
        }
    }
}

impl JudgeCall {
    fn is_the_clients_fault(&self, error: &BoxError) -> bool {
        RequestBodyError::find(&**error).is_some()
            || (error.is::<Elapsed>() && self.exchange.waits_for_client())
    }
}

impl<B> ClassifyCall<Response<B>, BoxError> for JudgeCall {
    fn verdict(self, result: Result<&Response<B>, &BoxError>) -> Verdict {
        match (result, self.protocol) {
            (Err(error), _) if self.is_the_clients_fault(error) => Verdict::Ignore,
            (result, Protocol::Http) => HttpStatus.verdict(result),
            (result, Protocol::Grpc) => Grpc.verdict(result),
        }
    }

    fn retry_after(&self, result: Result<&Response<B>, &BoxError>) -> Option<std::time::Duration> {
        match self.protocol {
            Protocol::Http => HttpStatus.retry_after(result),
            Protocol::Grpc => Grpc.retry_after(result),
        }
    }
}

impl<B: Body<Error = BoxError>> ClassifyBody<B, BoxError> for JudgeCall {
    type End = JudgeEnd;

    fn head(self, response: &Response<B>) -> Head<JudgeEnd> {
        match self.protocol {
            Protocol::Http => match ClassifyBody::<B, BoxError>::head(HttpStatus, response) {
                Head::Known(verdict) => Head::Known(verdict),
                Head::AtEnd(end) => Head::AtEnd(JudgeEnd::Http(end)),
            },
            Protocol::Grpc => match ClassifyBody::<B, BoxError>::head(Grpc, response) {
                Head::Known(verdict) => Head::Known(verdict),
                Head::AtEnd(end) => Head::AtEnd(JudgeEnd::Grpc(end)),
            },
        }
    }
}

impl ClassifyEnd<BoxError> for JudgeEnd {
    fn end(self, end: Result<Option<&HeaderMap>, &BoxError>) -> Verdict {
        match self {
            Self::Http(judge) => judge.end(end),
            Self::Grpc(judge) => judge.end(end),
        }
    }

    fn reads_trailers(&self) -> bool {
        match self {
            Self::Http(judge) => ClassifyEnd::<BoxError>::reads_trailers(judge),
            Self::Grpc(judge) => ClassifyEnd::<BoxError>::reads_trailers(judge),
        }
    }
}
