//! The server: every request is checked, answered, filled in, checked again, and written down.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::description::{Description, Operation};
use crate::graphql::{self, Given, Query, Selection};
use crate::hook::{Delivery, sign};
use crate::rest::{self, In, Out};
use crate::schema::brief;
use crate::show;
use crate::world::World;

/// A GitHub on loopback.
#[derive(Clone)]
pub struct Fake {
    inner: Arc<Inner>,
}

struct Inner {
    /// None: what is said is not checked, and answers hold what matters only.
    description: Option<&'static Description>,
    address: SocketAddr,
    /// `/api/v3` for an Enterprise server.
    prefix: String,
    token: String,
    state: Mutex<Server>,
}

#[derive(Default)]
struct Server {
    world: World,
    seen: Vec<Seen>,
    violations: Vec<String>,
    faults: VecDeque<Fault>,
    down: bool,
    used: u64,
    most_entries: usize,
    secret: String,
    deliveries: u64,
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// `GET`.
    pub method: String,
    /// The path below the API.
    pub path: String,
    /// As it was answered.
    pub status: u16,
    /// What it asked of GraphQL: names of root fields.
    pub graphql: Vec<String>,
}

/// What goes wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is answered like this, and nothing is done.
    Status(u16, &'static str),
    /// It is done, and the answer is lost: 502.
    Lost,
    /// A secondary limit, with the seconds to wait where it says so.
    Secondary(Option<u64>),
    /// The primary limit, until this second since 1970.
    Primary(i64),
    /// An answer that is no JSON.
    Garbage,
    /// A refusal that names the permission that lacks.
    Forbidden(&'static str),
    /// None: the request is served. Puts the next fault off.
    Pass,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fake({})", self.api())
    }
}

impl Fake {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// What of the descriptions is missing, and how to get it; that no port is free.
    pub async fn start(prefix: &str) -> Result<Self, String> {
        Self::start_at(prefix, "127.0.0.1:0").await
    }

    /// Starts one at this address.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_at(prefix: &str, address: &str) -> Result<Self, String> {
        let description = tokio::task::spawn_blocking(Description::load).await.map_err(|e| e.to_string())??;
        Self::serve_at(prefix, address, Some(description)).await
    }

    /// Starts one at this address that checks where the descriptions are installed, and serves all the same where they are
    /// not: see [`Self::checks`].
    ///
    /// # Errors
    /// That the address cannot be had.
    pub async fn start_as_it_is(prefix: &str, address: &str) -> Result<Self, String> {
        let description = tokio::task::spawn_blocking(Description::load).await.map_err(|e| e.to_string())?;
        Self::serve_at(prefix, address, description.ok()).await
    }

    async fn serve_at(prefix: &str, address: &str, description: Option<&'static Description>) -> Result<Self, String> {
        let listener = tokio::net::TcpListener::bind(address).await.map_err(|e| format!("{address}: {e}"))?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let server = Server { most_entries: 100, secret: "webhook-secret".to_owned(), ..Server::default() };
        let inner = Inner {
            description,
            address,
            prefix: prefix.to_owned(),
            token: "fake-token".to_owned(),
            state: Mutex::new(server),
        };
        let fake = Self { inner: Arc::new(inner) };
        let serving = fake.clone();
        let router = axum::Router::new().fallback(move |request| serving.clone().serve(request));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(fake)
    }

    /// The address of the API.
    pub fn api(&self) -> String {
        format!("http://{}{}", self.inner.address, self.inner.prefix)
    }

    /// Whether requests and answers are checked against the descriptions.
    pub fn checks(&self) -> bool {
        self.inner.description.is_some()
    }

    /// The token that it knows.
    pub fn token(&self) -> &str {
        &self.inner.token
    }

    fn lock(&self) -> MutexGuard<'_, Server> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at what there is, or changes it.
    pub fn world<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        work(&mut self.lock().world)
    }

    /// The next requests go wrong like this, one each.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.extend(faults);
    }

    /// From now on every request of the API is answered with 503, until it is up again.
    pub fn set_down(&self, down: bool) {
        self.lock().down = down;
    }

    /// Pages have at most so many entries, whatever is asked for.
    pub fn page_at(&self, most_entries: usize) {
        self.lock().most_entries = most_entries;
    }

    /// Every request since the last time.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.lock().seen)
    }

    /// What was outside of the descriptions, of requests and of the fake's own answers.
    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// Requests that counted against the limit.
    pub fn used(&self) -> u64 {
        self.lock().used
    }

    /// The webhooks since the last time, signed. Whoever takes them loses, doubles or sends them.
    pub fn take_deliveries(&self) -> Vec<Delivery> {
        let mut state = self.lock();
        let events = std::mem::take(&mut state.world.events);
        let sign_one = |(event, payload): (String, Value)| {
            state.deliveries += 1;
            sign(&state.secret, state.deliveries, event, &payload)
        };
        events.into_iter().map(sign_one).collect()
    }

    /// What webhooks are signed with.
    pub fn secret(&self) -> String {
        self.lock().secret.clone()
    }

    async fn serve(self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, 4 << 20).await.unwrap_or_default();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let method = parts.method.as_str().to_owned();
        // Git and disks: not on a thread that others wait for.
        let work = move || self.answer(&method, &path, &query, &parts.headers, &body);
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| plain(500, "the fake panicked".to_owned()))
    }

    fn answer(&self, method: &str, path: &str, query: &str, headers: &HeaderMap, body: &Bytes) -> Response<Body> {
        let mut state = self.lock();
        if let Some(log) = path.strip_prefix("/_logs/") {
            if headers.contains_key("authorization") {
                state.violations.push("the token was sent to the host of the logs".to_owned());
            }
            return match rest::log(&state.world, log) {
                Out::Text(text) => plain(200, text),
                _ => plain(404, "no such log".to_owned()),
            };
        }
        let graphql = match self.inner.prefix.strip_suffix("/v3") {
            Some(api) => format!("{api}/graphql"),
            None => format!("{}/graphql", self.inner.prefix),
        };
        let below = path.strip_prefix(&self.inner.prefix).unwrap_or(path).to_owned();
        let fault = if state.down { Some(Fault::Status(503, "down")) } else { state.faults.pop_front() };
        let seen_path = if path == graphql { "/graphql".to_owned() } else { below };
        let mut names = Vec::new();
        let answer = self.guarded(&mut state, fault, headers, |state| {
            if path == graphql {
                self.graphql(state, body, &mut names)
            } else {
                self.rest(state, &method.to_ascii_lowercase(), &seen_path, query, headers, body)
            }
        });
        let status = answer.status().as_u16();
        state.seen.push(Seen { method: method.to_owned(), path: seen_path, status, graphql: names });
        answer
    }

    /// What stands before every request: faults, the token, the limit.
    fn guarded(
        &self,
        state: &mut Server,
        fault: Option<Fault>,
        headers: &HeaderMap,
        serve: impl FnOnce(&mut Server) -> Response<Body>,
    ) -> Response<Body> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if header("user-agent").is_empty() {
            state.violations.push("a request without User-Agent, which GitHub refuses".to_owned());
        }
        if header("authorization") != format!("Bearer {}", self.inner.token) {
            return said(401, "Bad credentials");
        }
        let lost = match fault {
            None | Some(Fault::Pass) => false,
            Some(Fault::Lost) => true,
            Some(fault) => return broken(&fault),
        };
        let mut answer = serve(state);
        if answer.status() != StatusCode::NOT_MODIFIED {
            state.used += 1;
        }
        let left = 5000_u64.saturating_sub(state.used).to_string();
        for (name, value) in
            [("x-ratelimit-limit", "5000"), ("x-ratelimit-remaining", &left), ("x-ratelimit-reset", "4102444800")]
        {
            if let Ok(value) = value.parse() {
                answer.headers_mut().insert(name, value);
            }
        }
        if lost { said(502, "Server Error") } else { answer }
    }

    fn rest(
        &self,
        state: &mut Server,
        method: &str,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Response<Body> {
        let query: Vec<(String, String)> = query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect();
        let parsed: Option<Value> =
            if body.is_empty() { None } else { Some(serde_json::from_slice(body).unwrap_or_default()) };
        let described = match self.inner.description {
            None => None,
            Some(description) => {
                let Some(operation) = description.operation(method, path) else {
                    state.violations.push(format!("{method} {path} is not in the description"));
                    return said(404, "Not Found");
                };
                let wrong = description.check_request(&operation, &query, parsed.as_ref());
                if !wrong.is_empty() {
                    state.violations.extend(wrong.iter().map(|wrong| format!("{method} {path}: {wrong}")));
                    return said(400, &wrong.join("; "));
                }
                Some((description, operation))
            }
        };
        let parts: Vec<String> = path.trim_start_matches('/').split('/').map(decoded).collect();
        let body = parsed.unwrap_or(Value::Null);
        let request = In { method, parts: &parts, query: &query, body: &body, base: &self.api() };
        let out = rest::answer(&mut state.world, &request);
        let asked =
            |name: &str| query.iter().find(|(key, _)| key == name).and_then(|(_, value)| value.parse::<usize>().ok());
        let size = asked("per_page").unwrap_or(30).min(state.most_entries).max(1);
        let page = asked("page").unwrap_or(1).max(1);
        let (status, value, link) = match out {
            Out::Redirect(status, to) => return redirect(status, &to),
            Out::Text(text) => return plain(200, text),
            Out::One(status, value) => (status, value, None),
            Out::List { key, entries, mut around } => {
                let more = entries.len() > page * size;
                let entries: Vec<Value> = entries.into_iter().skip((page - 1) * size).take(size).collect();
                let link = more.then(|| self.link(path, &query, page + 1));
                match key {
                    None => (200, Value::Array(entries), link),
                    Some(key) => {
                        around[key] = Value::Array(entries);
                        (200, around, link)
                    }
                }
            }
        };
        let value = match &described {
            Some((description, operation)) => honest(description, state, operation, status, value),
            None => value,
        };
        with_tag(status, &value, link, headers)
    }

    fn link(&self, path: &str, query: &[(String, String)], page: usize) -> String {
        let others =
            query.iter().filter(|(key, _)| key != "page").map(|(key, value)| format!("{key}={}&", encoded(value)));
        let others: String = others.collect();
        format!("<{}{path}?{others}page={page}>; rel=\"next\"", self.api())
    }

    fn graphql(&self, state: &mut Server, body: &Bytes, names: &mut Vec<String>) -> Response<Body> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let variables = body.get("variables").cloned().unwrap_or_else(|| json!({}));
        let query = match graphql::parse(body.get("query").and_then(Value::as_str).unwrap_or_default()) {
            Ok(query) => query,
            Err(wrong) => {
                state.violations.push(format!("GraphQL: {wrong}"));
                return said(400, &wrong);
            }
        };
        let graph = self.inner.description.map(|description| &description.graph);
        let wrong = graph.map(|graph| graph.check(&query, &variables)).unwrap_or_default();
        if !wrong.is_empty() {
            state.violations.extend(wrong.iter().map(|wrong| format!("GraphQL: {wrong}")));
            return value(200, &json!({ "errors": [{ "type": "undefinedField", "message": wrong.join("; ") }] }));
        }
        let mut data = json!({});
        for (name, arguments, fields) in roots(&query, &variables) {
            names.push(name.clone());
            match rest::graph(&mut state.world, &name, &arguments) {
                Ok(found) => data[&name] = select(found, fields, &variables),
                Err((kind, message)) => {
                    let error = json!({ "type": kind, "path": [name], "message": message });
                    return value(200, &json!({ "data": null, "errors": [error] }));
                }
            }
        }
        let Some(graph) = graph else { return value(200, &json!({ "data": data })) };
        let mut wrong = Vec::new();
        let data = graph.project(&query, &data, &mut wrong);
        state.violations.extend(wrong.into_iter().map(|wrong| format!("GraphQL: {wrong}")));
        value(200, &json!({ "data": data }))
    }
}

/// The answer as the description demands it; what is not so is a violation of the fake itself.
fn honest(description: &Description, state: &mut Server, operation: &Operation, status: u16, value: Value) -> Value {
    match description.answer(operation, status) {
        Err(wrong) => {
            state.violations.push(wrong);
            value
        }
        Ok(None) => value,
        Ok(Some(schema)) => {
            let filled = description.schemas().fill(schema, Some(value));
            let mut wrong = Vec::new();
            description.schemas().check(schema, &filled, "answer", &mut wrong);
            let template = operation.template;
            state.violations.extend(wrong.into_iter().map(|wrong| format!("{template} {status}: {wrong}")));
            filled
        }
    }
}

fn roots<'a>(query: &'a Query, variables: &Value) -> Vec<(String, Value, &'a [Selection])> {
    let mut roots = Vec::new();
    for selection in &query.fields {
        if let Selection::Field { name, arguments, fields, .. } = selection {
            roots.push((name.clone(), given(arguments, variables), fields.as_slice()));
        }
    }
    roots
}

fn given(arguments: &std::collections::BTreeMap<String, Given>, variables: &Value) -> Value {
    arguments.iter().map(|(key, given)| (key.clone(), given.value(variables))).collect()
}

/// Takes out of a repository, or a thread, what the arguments within the selection ask for.
fn select(mut found: Value, fields: &[Selection], variables: &Value) -> Value {
    for selection in fields {
        let (name, arguments, inner) = match selection {
            Selection::On { fields, .. } => {
                found = select(found, fields, variables);
                continue;
            }
            Selection::Field { name, arguments, fields, .. } => (name.as_str(), given(arguments, variables), fields),
        };
        let number = |key: &str| arguments.get(key).and_then(Value::as_u64).unwrap_or_default();
        let first = usize::try_from(number("first")).unwrap_or_default();
        let after = arguments.get("after").and_then(Value::as_str).and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        match name {
            "pullRequest" => {
                let pull = found["pulls"].get(number("number").to_string()).cloned().unwrap_or_default();
                found["pullRequest"] = select(pull, inner, variables);
            }
            "reviewThreads" => {
                let all = found["reviewThreads"].as_array().cloned().unwrap_or_default();
                found["reviewThreads"] = show::connection(all, first, after);
            }
            "comments" => {
                let all = found["comments"]["nodes"].as_array().cloned().unwrap_or_default();
                found["comments"] = show::connection(all, first, after);
            }
            _ => {}
        }
    }
    found
}

fn with_tag(status: u16, body: &Value, link: Option<String>, headers: &HeaderMap) -> Response<Body> {
    let text = body.to_string();
    let digest = ring::digest::digest(&ring::digest::SHA256, format!("{text}{link:?}").as_bytes());
    let tag: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("W/\"{tag}\"");
    let asked = headers.get("if-none-match").and_then(|value| value.to_str().ok());
    let mut answer = if status == 200 && asked == Some(&tag) { plain(304, String::new()) } else { value(status, body) };
    let more = [("etag", Some(tag)), ("link", link)];
    for (name, value) in more {
        if let Some(value) = value.and_then(|value| value.parse().ok()) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

fn broken(fault: &Fault) -> Response<Body> {
    let with = |mut answer: Response<Body>, name: &'static str, value: String| {
        if let Ok(value) = value.parse() {
            answer.headers_mut().insert(name, value);
        }
        answer
    };
    let secondary = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
    match fault {
        Fault::Status(status, message) => said(*status, message),
        Fault::Secondary(None) => said(403, secondary),
        Fault::Secondary(Some(seconds)) => with(said(403, secondary), "retry-after", seconds.to_string()),
        Fault::Primary(reset) => {
            let answer =
                with(said(403, "API rate limit exceeded for user ID 1."), "x-ratelimit-remaining", "0".to_owned());
            with(answer, "x-ratelimit-reset", reset.to_string())
        }
        Fault::Garbage => plain(200, "<html>It works!</html>".to_owned()),
        Fault::Forbidden(permission) => {
            let answer = said(403, "Resource not accessible by personal access token");
            with(answer, "x-accepted-github-permissions", (*permission).to_owned())
        }
        Fault::Lost | Fault::Pass => said(502, "Server Error"),
    }
}

fn said(status: u16, message: &str) -> Response<Body> {
    value(status, &json!({ "message": brief(&json!(message)).trim_matches('"') }))
}

fn value(status: u16, value: &Value) -> Response<Body> {
    let mut answer = plain(status, value.to_string());
    answer
        .headers_mut()
        .insert("content-type", axum::http::HeaderValue::from_static("application/json; charset=utf-8"));
    answer
}

fn redirect(status: u16, to: &str) -> Response<Body> {
    let mut answer = plain(status, String::new());
    if let Ok(to) = to.parse() {
        answer.headers_mut().insert("location", to);
    }
    answer
}

fn plain(status: u16, text: String) -> Response<Body> {
    let mut answer = Response::new(Body::from(text));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer
}

fn pair(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (decoded(key), decoded(value))
}

fn decoded(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let code = bytes.get(at + 1..at + 3).and_then(|code| std::str::from_utf8(code).ok());
        match (bytes[at], code.and_then(|code| u8::from_str_radix(code, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (b'+', _) => {
                out.push(b' ');
                at += 1;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
