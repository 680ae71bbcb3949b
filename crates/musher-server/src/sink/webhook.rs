//! A webhook: one signed POST an event, over a connection that is kept for as long as there is more to send.

use std::fmt::Display;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use musher_tls::Trust;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::sign::Secret;

/// How long a delivery may take, from the look-up of the host to the answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// The most of an answer that is read; a connection with more is given up.
const ANSWER: usize = 64 << 10;
/// How much of a refusal is shown, in characters.
const SHOWN: usize = 200;

/// A request to make.
#[derive(Clone, Debug)]
pub(super) struct Post {
    /// The event's place; 0 for a test.
    pub(super) seq: u64,
    /// The event's name.
    pub(super) kind: String,
    /// The event.
    pub(super) body: Bytes,
    /// The moment of this attempt, in seconds since 1970.
    pub(super) seconds: i64,
}

/// Why it was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// In one line.
    pub(crate) error: String,
    /// The seconds that the receiver asks to be left alone.
    pub(crate) retry_after_secs: Option<u64>,
}

impl Failed {
    pub(crate) fn because(what: impl Display) -> Self {
        Self { error: what.to_string(), retry_after_secs: None }
    }
}

/// Where requests go.
#[derive(Debug)]
pub(super) struct Webhook {
    uri: Uri,
    secret: Secret,
    trust: Trust,
    timeout: Duration,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl Webhook {
    /// Nothing is sent yet.
    pub(super) fn new(url: &str, secret: Secret, trust: Trust, timeout: Duration) -> Result<Self, Failed> {
        let uri: Uri = url.parse().map_err(|_| Failed::because("its `url` is none"))?;
        if uri.host().is_none() {
            return Err(Failed::because("its `url` names no host"));
        }
        Ok(Self { uri, secret, trust, timeout, open: None })
    }

    /// Sends, and says how it was answered. Taken is what is answered with 2xx; redirects are not followed.
    pub(super) async fn post(&mut self, post: &Post) -> Result<StatusCode, Failed> {
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.attempt(post)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failed::because(format_args!("no answer within {} s", timeout.as_secs_f32()))),
        }
    }

    /// Lets the connection go: nothing more is to be sent for now.
    pub(super) fn rest(&mut self) {
        self.open = None;
    }

    async fn attempt(&mut self, post: &Post) -> Result<StatusCode, Failed> {
        // One that was kept may have been closed at the other end meanwhile; then a new one decides.
        if let Some(kept) = self.open.take()
            && let Ok(answer) = self.send(kept, post).await
        {
            return self.understood(answer).await;
        }
        let new = connect(&self.uri, &self.trust).await?;
        let answer = self.send(new, post).await.map_err(|error| Failed::because(with_causes(&error)))?;
        self.understood(answer).await
    }

    async fn send(&self, mut sender: SendRequest<Full<Bytes>>, post: &Post) -> Result<Answer, hyper::Error> {
        sender.ready().await?;
        let response = sender.send_request(self.request(post)).await?;
        Ok(Answer { response, sender })
    }

    fn request(&self, post: &Post) -> Request<Full<Bytes>> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::new(Full::new(post.body.clone()));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = path.parse().unwrap_or_default();
        let headers = [
            (HOST.as_str(), self.uri.authority().map(ToString::to_string).unwrap_or_default()),
            (CONTENT_TYPE.as_str(), "application/json".to_owned()),
            (USER_AGENT.as_str(), concat!("musher/", env!("CARGO_PKG_VERSION")).to_owned()),
            ("x-musher-seq", post.seq.to_string()),
            ("x-musher-kind", post.kind.clone()),
            ("x-musher-timestamp", post.seconds.to_string()),
            ("x-musher-signature", self.secret.signature(post.seconds, &post.body)),
        ];
        for (name, value) in headers {
            // Each is made of letters and digits that a header can hold.
            if let (Ok(name), Ok(value)) = (name.parse::<hyper::header::HeaderName>(), value.parse()) {
                request.headers_mut().insert(name, value);
            }
        }
        request
    }

    async fn understood(&mut self, answer: Answer) -> Result<StatusCode, Failed> {
        let Answer { response, sender } = answer;
        let status = response.status();
        let retry_after_secs = retry_after(&response);
        let location = response.headers().get(hyper::header::LOCATION).is_some();
        let body = Limited::new(response.into_body(), ANSWER).collect().await.map(|body| body.to_bytes());
        if body.is_ok() {
            self.open = Some(sender);
        }
        if status.is_success() {
            return Ok(status);
        }
        let said = body.map(|body| one_line(&body)).unwrap_or_default();
        let mut error = format!("it answered {status}");
        if status.is_redirection() && location {
            error += ", which is not followed: put the new address into its `url`";
        } else if !said.is_empty() {
            error += ": ";
            error += &said;
        }
        Err(Failed { error, retry_after_secs })
    }
}

struct Answer {
    response: Response<Incoming>,
    sender: SendRequest<Full<Bytes>>,
}

/// A connection to the host of an address.
pub(crate) async fn connect(uri: &Uri, trust: &Trust) -> Result<SendRequest<Full<Bytes>>, Failed> {
    let host = uri.host().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let encrypted = uri.scheme_str() == Some("https");
    // A port that is not understood is not another one.
    let written =
        uri.authority().is_some_and(|all| all.as_str().get(host.len()..).is_some_and(|rest| !rest.is_empty()));
    let usual = if encrypted { 443 } else { 80 };
    let Some(port) = uri.port_u16().or((!written).then_some(usual)) else {
        return Err(Failed::because(format_args!("`{host}` is to be asked at a port that is no number")));
    };
    let refused = |error| Failed::because(format_args!("`{host}:{port}` cannot be reached: {error}"));
    let stream = TcpStream::connect((bare, port)).await.map_err(refused)?;
    let _ = stream.set_nodelay(true);
    if encrypted {
        shake_hands(trust.encrypt(bare, stream).await.map_err(Failed::because)?).await
    } else {
        shake_hands(stream).await
    }
}

async fn shake_hands(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<SendRequest<Full<Bytes>>, Failed> {
    let (sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| Failed::because(with_causes(&error)))?;
    // It ends with the sender; what went wrong with it is seen there.
    tokio::spawn(connection);
    Ok(sender)
}

/// Seconds, or a moment.
fn retry_after(response: &Response<Incoming>) -> Option<u64> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let moment = httpdate::parse_http_date(text).ok()?;
    moment.duration_since(SystemTime::now()).ok().map(|wait| wait.as_secs())
}

/// The beginning of what others said, as a line that moves no cursor.
pub(super) fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
