//! Requests and answers on the wire: kept connections, bounded bodies, one deadline.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use musher_tls::Trust;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::error::ForgeError;
use crate::repository::ApiBase;

/// A request to make.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

/// What came back, whatever its status.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// How much of an answer is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Take {
    /// All of it; more is an error.
    Whole {
        /// In bytes.
        most: usize,
    },
    /// Its end. What is beyond `most` is not waited for.
    Tail {
        /// Bytes that are kept.
        keep: usize,
        /// Bytes that are read.
        most: usize,
    },
}

/// One host, and the connections to it.
pub(crate) struct Wire {
    base: ApiBase,
    trust: Trust,
    patience: Duration,
    idle: Mutex<Vec<Sender>>,
}

type Sender = SendRequest<Full<Bytes>>;

impl Wire {
    pub(crate) fn new(base: ApiBase, trust: Trust, patience: Duration) -> Self {
        Self { base, trust, patience, idle: Mutex::new(Vec::new()) }
    }

    pub(crate) const fn base(&self) -> &ApiBase {
        &self.base
    }

    /// The same for another host, such as the one that keeps the logs.
    pub(crate) fn elsewhere(&self, base: ApiBase) -> Self {
        Self::new(base, self.trust.clone(), self.patience)
    }

    /// Sends, and reads the answer, within the deadline.
    pub(crate) async fn send(&self, request: &Outgoing, take: Take) -> Result<Answer, ForgeError> {
        match tokio::time::timeout(self.patience, self.attempt(request, take)).await {
            Ok(answer) => answer,
            Err(_) => {
                let host = &self.base.authority;
                Err(ForgeError::unavailable(format!(
                    "`{host}` gave no answer within {} s",
                    self.patience.as_secs_f32()
                )))
            }
        }
    }

    async fn attempt(&self, request: &Outgoing, take: Take) -> Result<Answer, ForgeError> {
        if let Some(mut kept) = self.kept() {
            // It may have been closed at the other end meanwhile. What changes something is sent again only when it is
            // sure that it was not sent.
            match kept.send_request(self.request(request)).await {
                Ok(response) => return self.read(kept, response, take).await,
                Err(error) if error.is_canceled() || request.method == Method::GET => {}
                Err(error) => return Err(ForgeError::unavailable(with_causes(&error))),
            }
        }
        let mut new = self.connect().await?;
        let sent = new.send_request(self.request(request)).await;
        let response = sent.map_err(|error| ForgeError::unavailable(with_causes(&error)))?;
        self.read(new, response, take).await
    }

    fn kept(&self) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(Sender::is_ready);
        idle.pop()
    }

    fn keep(&self, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(sender);
        }
    }

    fn request(&self, outgoing: &Outgoing) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(outgoing.body.clone()));
        *request.method_mut() = outgoing.method.clone();
        *request.uri_mut() = outgoing.target.parse().unwrap_or_default();
        let headers = request.headers_mut();
        if let Ok(host) = HeaderValue::from_str(&self.base.authority) {
            headers.insert(HOST, host);
        }
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("musher/", env!("CARGO_PKG_VERSION"))));
        headers.extend(outgoing.headers.iter().cloned());
        request
    }

    async fn connect(&self) -> Result<Sender, ForgeError> {
        let host = self.base.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.base.authority.get(host.len()..).and_then(|rest| rest.strip_prefix(':')).map(str::parse);
        let port = match port {
            Some(Ok(port)) => port,
            Some(Err(_)) => return Err(ForgeError::unavailable(format!("`{}` has no port", self.base.authority))),
            None if self.base.encrypted => 443,
            None => 80,
        };
        let refused = |error| ForgeError::unavailable(format!("`{host}:{port}` cannot be reached: {error}"));
        let stream = TcpStream::connect((bare, port)).await.map_err(refused)?;
        let _ = stream.set_nodelay(true);
        if self.base.encrypted {
            let stream = self.trust.encrypt(bare, stream).await;
            shake_hands(stream.map_err(|error| ForgeError::unavailable(error.to_string()))?).await
        } else {
            shake_hands(stream).await
        }
    }

    async fn read(&self, sender: Sender, response: Response<Incoming>, take: Take) -> Result<Answer, ForgeError> {
        let (parts, body) = response.into_parts();
        let (body, whole) = match take {
            Take::Whole { most } => (whole(body, most).await?, true),
            Take::Tail { keep, most } => tail(body, keep, most).await?,
        };
        if whole {
            self.keep(sender);
        }
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }
}

async fn whole(body: Incoming, most: usize) -> Result<Bytes, ForgeError> {
    let too_long = || ForgeError::strange(format!("it has more than {} MiB", most >> 20));
    if body.size_hint().lower() > most as u64 {
        return Err(too_long());
    }
    match http_body_util::Limited::new(body, most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_long()),
        Err(error) => Err(ForgeError::unavailable(format!("the answer broke off: {}", with_causes(&*error)))),
    }
}

/// The end of a body, and whether it was read to its end.
async fn tail(mut body: Incoming, keep: usize, most: usize) -> Result<(Bytes, bool), ForgeError> {
    let (mut kept, mut read) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let broke_off = |error: hyper::Error| ForgeError::unavailable(format!("it broke off: {}", with_causes(&error)));
        let Ok(data) = frame.map_err(broke_off)?.into_data() else { continue };
        read = read.saturating_add(data.len());
        kept.extend_from_slice(&data);
        if kept.len() > keep.saturating_mul(2) {
            kept.drain(..kept.len() - keep);
        }
        if read > most {
            break;
        }
    }
    kept.drain(..kept.len().saturating_sub(keep));
    Ok((kept.into(), read <= most))
}

async fn shake_hands(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Sender, ForgeError> {
    let shaken = handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|error| ForgeError::unavailable(with_causes(&error)))?;
    // It ends with the sender; what went wrong with it is seen there.
    tokio::spawn(connection);
    Ok(sender)
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// The most connections that are kept for later.
const MOST_IDLE: usize = 4;
