//! Asks addresses that a watch waits for.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{HOST, USER_AGENT};
use hyper::{Request, Uri};
use musher_core::command::Report;
use musher_engine::driver::{Web, Work};
use musher_tls::Trust;

use crate::sink::{Failed, connect, with_causes};

/// How long an answer may take, from the look-up of the host to its status.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Asks with GET, sends nothing along, follows no redirect, and reads no more than the status.
#[derive(Debug, Default)]
pub struct WebDriver {
    trust: Trust,
}

impl Web for WebDriver {
    fn fetch(&self, url: String) -> Work<Report> {
        let trust = self.trust.clone();
        Box::pin(async move {
            let asked = tokio::time::timeout(TIMEOUT, ask(&url, &trust)).await;
            let (met, text) = match asked {
                Ok(Ok(status)) => (status.is_success(), format!("it answers {status}")),
                Ok(Err(failed)) => (false, failed.error),
                Err(_) => (false, format!("no answer within {} s", TIMEOUT.as_secs())),
            };
            Report::Probed { met, text: text.into() }
        })
    }
}

async fn ask(url: &str, trust: &Trust) -> Result<hyper::StatusCode, Failed> {
    let uri: Uri = url.parse().map_err(|_| Failed::because("it is no address"))?;
    if uri.host().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(Failed::because("it is no address of http:// or https://"));
    }
    let mut sender = connect(&uri, trust).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, uri.authority().map(ToString::to_string).unwrap_or_default())
        .header(USER_AGENT, concat!("musher/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(Bytes::new()))
        .map_err(|error| Failed::because(with_causes(&error)))?;
    let failed = |error: hyper::Error| Failed::because(with_causes(&error));
    sender.ready().await.map_err(failed)?;
    Ok(sender.send_request(request).await.map_err(failed)?.status())
}
