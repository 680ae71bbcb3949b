//! What goes wrong on the way, and what it is taken for.

use std::sync::atomic::Ordering;

use musher_core::time::Timestamp;
use musher_forge::{ApiBase, Forge, ForgeError, GitHub, Token};
use musher_forge_fake::Fault;

use crate::bench::{Bench, REPO};

fn until(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

#[tokio::test]
async fn each_fault_is_taken_for_what_it_is() {
    let Some(b) = Bench::new().await else { return };
    let reset = b.now() + 900;
    for (fault, wait) in [(Fault::Secondary(Some(30)), 30), (Fault::Secondary(None), 60), (Fault::Primary(reset), 0)] {
        let expected = if wait == 0 { reset + 1 } else { b.now() + wait };
        b.fake.fail([fault.clone()]);
        let answer = b.hub.repository(&b.repo).await.unwrap_err();
        assert!(
            matches!(&answer, ForgeError::Limited { until: u, .. } if *u == until(expected)),
            "{fault:?}: {answer:?}"
        );
        b.asked();
        assert!(matches!(b.hub.repository(&b.repo).await, Err(ForgeError::Limited { .. })));
        assert_eq!(b.asked(), Vec::<String>::new(), "before the limit allows, nothing is asked");
        b.seconds.store(expected + 1, Ordering::Relaxed);
        b.hub.repository(&b.repo).await.unwrap();
    }
    let cases: [(Fault, fn(&ForgeError) -> bool); 6] = [
        (Fault::Status(502, "Server Error"), |e| matches!(e, ForgeError::Unavailable { .. })),
        (Fault::Status(503, "Unavailable"), |e| matches!(e, ForgeError::Unavailable { .. })),
        (Fault::Status(410, "Gone"), |e| matches!(e, ForgeError::Gone { .. })),
        (Fault::Status(422, "No"), |e| matches!(e, ForgeError::Invalid { .. })),
        (Fault::Garbage, |e| matches!(e, ForgeError::Strange { .. })),
        (
            Fault::Forbidden("pull_requests=write"),
            |e| matches!(e, ForgeError::Refused { fix, .. } if fix == "give the token these permissions: pull_requests=write"),
        ),
    ];
    for (fault, is) in cases {
        b.fake.fail([fault.clone()]);
        let answer = b.hub.repository(&b.repo).await.unwrap_err();
        assert!(is(&answer), "{fault:?}: {answer:?}");
        b.hub.repository(&b.repo).await.unwrap();
    }
    b.honest();
}

#[tokio::test]
async fn a_bad_token_is_refused_with_its_fix_and_never_shown() {
    let Some(b) = Bench::new().await else { return };
    let clock = std::sync::Arc::new(|| Timestamp::from_micros(0));
    let hub = GitHub::new(ApiBase::parse(&b.fake.api()).unwrap(), Token::new("ghp_wrong").unwrap(), clock);
    let error = hub.repository(&b.repo).await.unwrap_err();
    assert!(matches!(error, ForgeError::Refused { .. }), "{error:?}");
    assert!(error.fix().contains("gh auth login"));
    assert!(!format!("{error:?} {error} {hub:?}").contains("ghp_wrong"));
}

#[tokio::test]
async fn a_forge_that_is_not_there_is_unavailable() {
    let Some(b) = Bench::new().await else { return };
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let clock = std::sync::Arc::new(|| Timestamp::from_micros(0));
    let base = ApiBase::parse(&format!("http://{free}")).unwrap();
    let hub = GitHub::new(base, Token::new("t").unwrap(), clock);
    assert!(matches!(hub.repository(&b.repo).await, Err(ForgeError::Unavailable { .. })));
}

/// The fake itself: what is outside of the descriptions is seen, or all else here would prove nothing.
#[tokio::test]
async fn a_request_outside_of_the_description_is_seen() {
    let Some(b) = Bench::new().await else { return };
    let authority = b.fake.api().trim_start_matches("http://").to_owned();
    let ask = |method: &str, target: &str, body: &str| {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: t\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            b.fake.token(),
            body.len()
        );
        let authority = authority.clone();
        async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut stream = tokio::net::TcpStream::connect(authority).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
        }
    };
    let repo = format!("/repos/{REPO}");
    let cases = [
        ("GET", format!("{repo}/nowhere"), String::new()),
        ("GET", format!("{repo}/pulls?stat=open"), String::new()),
        ("GET", format!("{repo}/pulls?state=ajar"), String::new()),
        ("PUT", format!("{repo}/pulls/1/merge"), r#"{"merge_method":"octopus"}"#.to_owned()),
        ("POST", format!("{repo}/issues/1/comments"), r#"{"text":"x"}"#.to_owned()),
        ("POST", "/graphql".to_owned(), r#"{"query":"query { viewer { nickname } }"}"#.to_owned()),
        (
            "POST",
            "/graphql".to_owned(),
            r#"{"query":"query($n: String!) { repository(owner: $n) { id } }","variables":{}}"#.to_owned(),
        ),
    ];
    for (method, target, body) in cases {
        let before = b.fake.violations().len();
        ask(method, &target, &body).await;
        assert!(b.fake.violations().len() > before, "{method} {target} {body}");
    }
}
