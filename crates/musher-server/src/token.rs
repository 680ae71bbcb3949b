//! The token of the TCP listener, and what else a request over TCP must show.

use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use axum::http::{HeaderMap, header};

use crate::api::Problem;

/// How many random bytes a token has.
const BYTES: usize = 32;

/// A secret that callers over TCP must show.
#[derive(Clone)]
pub(crate) struct Token(Arc<str>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Reads the token, or makes one that only its owner can read.
pub(crate) fn load_or_make(file: &Path) -> io::Result<Token> {
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(mut new) => {
            let token = random()?;
            new.write_all(token.as_bytes())?;
            new.write_all(b"\n")?;
            new.sync_all()?;
            Ok(Token(token.into()))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(file),
        Err(error) => Err(error),
    }
}

fn load(file: &Path) -> io::Result<Token> {
    let mut opened = std::fs::File::open(file)?;
    if opened.metadata()?.mode() & 0o077 != 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "others can read it; `chmod 600` it"));
    }
    let mut text = String::new();
    opened.read_to_string(&mut text)?;
    let token = text.trim();
    if token.len() < BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it holds no token; remove it, and a new one is made"));
    }
    Ok(Token(token.into()))
}

fn random() -> io::Result<String> {
    let mut bytes = [0u8; BYTES];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Compares without saying, by the time it takes, how much was right.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let difference = one.iter().zip(other).fold(0u8, |all, (a, b)| std::hint::black_box(all | (a ^ b)));
    difference == 0
}

/// Refuses what a web page could have sent.
pub(crate) fn is_no_page(headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    if !is_address(host) {
        return Err(Problem::new(403, "wrong_host", format!("`{host}` is no address that this daemon has"))
            .why("a name could lead a web page here")
            .fix("use the address itself, such as 127.0.0.1, or localhost"));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let own = origin.to_str().is_ok_and(|o| o == format!("http://{host}") || o == format!("https://{host}"));
        if !own {
            return Err(Problem::new(403, "wrong_origin", "requests of web pages are refused"));
        }
    }
    Ok(())
}

/// Refuses what does not show the token, and what a web page could have sent.
pub(crate) fn check(token: &Token, headers: &HeaderMap) -> Result<(), Problem> {
    is_no_page(headers)?;
    let shown = headers.get(header::AUTHORIZATION).map(|h| h.as_bytes()).unwrap_or_default();
    let shown = shown.strip_prefix(b"Bearer ").unwrap_or_default();
    if same(shown, token.0.as_bytes()) {
        Ok(())
    } else {
        Err(Problem::new(401, "no_token", "the token is missing or wrong")
            .fix("send `Authorization: Bearer TOKEN`; the token is in `.musher/token`"))
    }
}

/// Whether a `Host` is an address of its own or `localhost`, with or without a port: no name that DNS could turn.
fn is_address(host: &str) -> bool {
    if host.parse::<std::net::SocketAddr>().is_ok() || host.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    if host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).is_some_and(|h| h.parse::<std::net::Ipv6Addr>().is_ok())
    {
        return true;
    }
    let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    name == "localhost"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let made = load_or_make(&file).unwrap();
        assert_eq!(made.0.len(), 2 * BYTES);
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(load_or_make(&file).unwrap().0, made.0);

        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert_eq!(load_or_make(&file).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_request_over_tcp_shows_the_token_an_address_and_no_foreign_origin() {
        let token = Token("0123456789abcdef0123456789abcdef".into());
        let asked = |host: &str, origin: Option<&str>, shown: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            headers.insert(header::AUTHORIZATION, format!("Bearer {shown}").parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            check(&token, &headers).map_err(|p| p.code)
        };
        let right = "0123456789abcdef0123456789abcdef";
        for host in ["127.0.0.1:7787", "localhost:7787", "localhost", "[::1]:7787", "[::1]", "10.0.0.4"] {
            assert_eq!(asked(host, None, right), Ok(()), "{host}");
        }
        assert_eq!(asked("evil.example:7787", None, right), Err("wrong_host".to_owned()));
        assert_eq!(asked("", None, right), Err("wrong_host".to_owned()));
        assert_eq!(asked("127.0.0.1:7787", Some("http://evil.example"), right), Err("wrong_origin".to_owned()));
        assert_eq!(asked("127.0.0.1:7787", Some("http://127.0.0.1:7787"), right), Ok(()));
        for wrong in ["", "0", "0123456789abcdef0123456789abcdeF", &format!("{right}0")] {
            assert_eq!(asked("127.0.0.1:7787", None, wrong), Err("no_token".to_owned()), "{wrong}");
        }
    }
}
