//! Requests against a receiver that speaks plain bytes: what goes over the wire, and what breaks on it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use hyper::StatusCode;
use musher_tls::Trust;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::origin_of;
use super::sign::Secret;
use super::webhook::{Failed, Post, TIMEOUT, Webhook};

fn post(seq: u64) -> Post {
    let body = Bytes::from(format!("{{\"seq\":{seq}}}"));
    Post { seq, kind: "item_done".to_owned(), body, seconds: 1_769_850_000 }
}

fn webhook(url: &str, trust: Trust, timeout: Duration) -> Webhook {
    Webhook::new(url, Secret::new("It is a secret"), trust, timeout).unwrap()
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// Reads one request to the end of its body, which ends with `}`.
async fn request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"}") {
        let mut part = [0; 4096];
        let n = stream.read(&mut part).await.unwrap();
        assert!(n > 0, "cut off: {}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&part[..n]);
    }
    String::from_utf8(text).unwrap()
}

async fn respond(stream: &mut (impl AsyncWrite + Unpin), response: &str) {
    stream.write_all(response.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

const TAKEN: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn a_request_has_the_headers_that_receivers_rely_on() {
    let (listener, address) = listen().await;
    let mut hook = webhook(&format!("http://{address}/a/b?c=d"), Trust::default(), TIMEOUT);
    let first = post(1);
    let (sent, text) = tokio::join!(hook.post(&first), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let text = request(&mut stream).await;
        respond(&mut stream, TAKEN).await;
        text
    });
    assert_eq!(sent, Ok(StatusCode::ACCEPTED));
    assert!(text.starts_with("POST /a/b?c=d HTTP/1.1\r\n"), "{text}");
    for header in [
        &format!("host: {address}"),
        "content-type: application/json",
        "x-musher-seq: 1",
        "x-musher-kind: item_done",
        "x-musher-timestamp: 1769850000",
        // The vector of `sign`, made by openssl.
        "x-musher-signature: sha256=0e0cce934a86516c175e8a6770ce26b682759d0420420cefd21eb6ef6746fce0",
    ] {
        assert!(text.contains(&format!("\r\n{header}\r\n")), "{header}: {text}");
    }
}

#[tokio::test]
async fn a_connection_is_kept_and_one_that_was_closed_meanwhile_is_no_failure() {
    let (listener, address) = listen().await;
    let mut hook = webhook(&format!("http://{address}"), Trust::default(), TIMEOUT);
    let receiver = async {
        let (mut first, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.push(request(&mut first).await);
            respond(&mut first, TAKEN).await;
        }
        drop(first);
        let (mut second, _) = listener.accept().await.unwrap();
        seen.push(request(&mut second).await);
        respond(&mut second, TAKEN).await;
        seen
    };
    let sender = async {
        for seq in 1..=3 {
            assert_eq!(hook.post(&post(seq)).await, Ok(StatusCode::ACCEPTED));
        }
    };
    let (seen, ()) = tokio::join!(receiver, sender);
    for (text, seq) in seen.iter().zip(1..) {
        assert!(text.ends_with(&format!("{{\"seq\":{seq}}}")), "{text}");
    }
}

#[tokio::test]
async fn whoever_does_not_answer_in_time_or_not_in_http_has_not_taken_it() {
    let (listener, address) = listen().await;
    let url = format!("http://{address}");
    let mut hook = webhook(&url, Trust::default(), Duration::from_millis(20));
    let first = post(1);
    let failed = hook.post(&first).await.unwrap_err();
    assert_eq!(failed.error, "no answer within 0.02 s");
    let _silent = listener.accept().await.unwrap();

    let mut hook = webhook(&url, Trust::default(), TIMEOUT);
    for answer in ["220 mail.example.org ESMTP\r\n", "", "HTTP/1.1 200 OK"] {
        let (failed, ()) = tokio::join!(hook.post(&first), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            respond(&mut stream, answer).await;
        });
        assert!(failed.is_err(), "{answer:?}: {failed:?}");
    }
    drop(listener);
    let failed = hook.post(&first).await.unwrap_err();
    assert!(failed.error.contains("cannot be reached"), "{}", failed.error);
}

#[tokio::test]
async fn a_wait_that_is_asked_for_is_seconds_or_a_moment() {
    let (listener, address) = listen().await;
    let mut hook = webhook(&format!("http://{address}"), Trust::default(), TIMEOUT);
    let later = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(5_000));
    let cases: [(&str, std::ops::RangeInclusive<Option<u64>>); 4] = [
        ("17", Some(17)..=Some(17)),
        (&later, Some(4_000)..=Some(5_000)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None..=None),
        ("-1", None..=None),
    ];
    for (asked, expected) in cases {
        let first = post(1);
        let (failed, ()) = tokio::join!(hook.post(&first), async {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            let head = format!(
                "HTTP/1.1 429 Slow down\r\nconnection: close\r\nretry-after: {asked}\r\ncontent-length: 0\r\n\r\n"
            );
            respond(&mut stream, &head).await;
        });
        let Err(Failed { retry_after_secs, .. }) = failed else { panic!("{failed:?}") };
        assert!(expected.contains(&retry_after_secs), "{asked}: {retry_after_secs:?}");
    }
}

/// A host that shows a certificate for `localhost`, which `authority.der` has signed. Made once with openssl, for a hundred
/// years: two authorities (`openssl req -x509 -newkey ec`), and a key of the host signed by the first (`openssl x509 -req`
/// with `subjectAltName=DNS:localhost`).
fn localhost() -> TlsAcceptor {
    let certificate = CertificateDer::from(&include_bytes!("tests/localhost.der")[..]);
    let key = PrivatePkcs8KeyDer::from(&include_bytes!("tests/localhost-key.der")[..]);
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::from(key))
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn serve_once(listener: TcpListener, acceptor: TlsAcceptor) {
    let (stream, _): (TcpStream, _) = listener.accept().await.unwrap();
    if let Ok(mut stream) = acceptor.accept(stream).await {
        request(&mut stream).await;
        respond(&mut stream, TAKEN).await;
    }
}

#[tokio::test]
async fn https_reaches_a_host_that_is_trusted_and_no_other() {
    let (known, other) = (&include_bytes!("tests/authority.der")[..], &include_bytes!("tests/other-authority.der")[..]);
    let cases = [
        ("trusted", "localhost", known, true),
        ("of another name", "127.0.0.1", known, false),
        ("of an unknown authority", "localhost", other, false),
    ];
    for (name, host, authority, taken) in cases {
        let (listener, address) = listen().await;
        let port = address.rsplit(':').next().unwrap();
        let trust = Trust::of(vec![authority.to_vec()]).unwrap();
        let mut hook = webhook(&format!("https://{host}:{port}/x"), trust, TIMEOUT);
        let first = post(1);
        let (sent, ()) = tokio::join!(hook.post(&first), serve_once(listener, localhost()));
        match sent {
            Ok(status) => assert!(taken && status == StatusCode::ACCEPTED, "{name}: {status}"),
            Err(failed) => assert!(!taken && failed.error.contains("no encrypted connection"), "{name}: {failed:?}"),
        }
    }
}

#[test]
fn no_path_and_no_query_of_an_address_is_shown() {
    for (url, shown) in [
        ("https://hooks.example.org/services/T000/hunter2", "https://hooks.example.org/…"),
        ("http://[::1]:8080?token=hunter2", "http://[::1]:8080/…"),
        ("https://example.org", "https://example.org"),
        ("https://example.org/", "https://example.org"),
    ] {
        assert_eq!(origin_of(url), shown);
    }
}
