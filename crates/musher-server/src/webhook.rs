//! Webhooks of the forge: the one door that no token opens. Whoever knocks shows by the signature of the body that it is the
//! forge; before that is found to be right nothing of the body is read, and nobody learns more than that it is wrong.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, header};
use musher_core::command::{Actor, Answer, Command};
use musher_core::forge::{Hint, Reference};
use musher_core::webhook::Heard;
use musher_forge::RepositoryName;
use musher_forge::webhook::{LONGEST, Received, Rejected, Sent, WebhookSecret, is_signature, read};
use tokio::sync::Semaphore;
use tracing::{info, warn};

use crate::api::{self, Problem, WebhookHeard};
use crate::app::App;
use crate::problem;

/// How many are read at once; together they hold at most so many times [`LONGEST`] bytes.
const AT_ONCE: usize = 8;
/// How long one may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// Whose webhooks are taken.
#[derive(Clone, Debug)]
pub struct WebhookSetup {
    /// What they are signed with.
    pub secret: WebhookSecret,
    /// Where that was found, such as `env:NAME`.
    pub reference: String,
    /// The repository that they must speak of.
    pub repository: RepositoryName,
}

/// The door; clones are the same.
#[derive(Clone, Debug)]
pub struct Webhooks {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    setup: RwLock<Option<Arc<WebhookSetup>>>,
    places: Semaphore,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self { inner: Arc::new(Inner { setup: RwLock::default(), places: Semaphore::new(AT_ONCE) }) }
    }
}

impl Webhooks {
    /// Opens the door for the webhooks of this repository, or closes it.
    pub fn set(&self, setup: Option<WebhookSetup>) {
        *self.inner.setup.write().unwrap_or_else(PoisonError::into_inner) = setup.map(Arc::new);
    }

    /// Whom it is open for, if it is.
    pub(crate) fn open_for(&self) -> Option<api::WebhookDoor> {
        let setup = self.setup()?;
        Some(api::WebhookDoor { repository: setup.repository.to_string(), secret: setup.reference.clone() })
    }

    fn setup(&self) -> Option<Arc<WebhookSetup>> {
        self.inner.setup.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a request that says it is a webhook.
    pub(crate) async fn take(&self, app: &App, headers: &HeaderMap, body: Body) -> Result<WebhookHeard, Problem> {
        let setup = self.setup().ok_or_else(|| {
            Problem::new(404, "no_webhooks", "no webhooks are taken here")
                .fix("name their secret by `webhook` in [forge] of musher.toml, such as webhook = \"env:NAME\"")
        })?;
        if headers.contains_key(header::ORIGIN) {
            return Err(Problem::new(403, "wrong_origin", "requests of web pages are refused"));
        }
        let word = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let signature = word("x-hub-signature-256");
        if !is_signature(signature) {
            return Err(rejected(Rejected::Signature));
        }
        let body = self.arrived(headers, body).await?;
        let received =
            Received { event: word("x-github-event"), delivery: word("x-github-delivery"), signature, body: &body };
        let sent = read(&setup.secret, received).map_err(rejected)?;
        if let Some(other) = sent.repository.as_ref().filter(|name| !name.is(&setup.repository)) {
            info!(delivery = &*sent.delivery, repository = %other, "a webhook of another repository");
            let why = format!("it is of {other}, and musher works in {}", setup.repository);
            return Ok(WebhookHeard { delivery: sent.delivery.into(), result: IGNORED.to_owned(), why: Some(why) });
        }
        drop(body);
        self.say(app, &setup, sent).await
    }

    async fn arrived(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
        let stated = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if stated.is_some_and(|length| length > LONGEST) {
            return Err(rejected(Rejected::TooLong));
        }
        let _place = self.inner.places.try_acquire().map_err(|_| {
            Problem::new(503, "busy", format!("{AT_ONCE} webhooks are on their way already"))
                .fix("have the forge send it again")
        })?;
        match tokio::time::timeout(ARRIVAL, axum::body::to_bytes(body, LONGEST)).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(error)) if is_too_long(&error) => Err(rejected(Rejected::TooLong)),
            Ok(Err(_)) => Err(Problem::new(400, "broken_body", "the body did not arrive as a whole")),
            Err(_) => Err(Problem::new(408, "slow", format!("the body did not arrive within {} s", ARRIVAL.as_secs()))),
        }
    }

    async fn say(&self, app: &App, setup: &WebhookSetup, sent: Sent) -> Result<WebhookHeard, Problem> {
        let mut hints = sent.hints;
        for hint in hints.clone() {
            // A watch may name an issue of the project's own repository with or without it.
            if let Hint::Issue(Reference { repo: None, number }) = hint {
                let repo = Some(setup.repository.to_string().into());
                hints.push(Hint::Issue(Reference { repo, number }));
            }
        }
        let command = Command::TakeWebhook(sent.delivery.clone(), hints);
        let answer = app.engine().send(Actor::Musher, command).await.map_err(problem::of_engine)?;
        let heard = match answer {
            Answer::Webhook(heard) => heard,
            Answer::Done
            | Answer::Mission(_)
            | Answer::Agent(_)
            | Answer::Note(_)
            | Answer::Help(_)
            | Answer::Item(_)
            | Answer::Schedule(_)
            | Answer::Trigger(_)
            | Answer::Watch(_)
            | Answer::Messages(_)
            | Answer::Relayed(_) => Heard::Unwatched,
        };
        Ok(WebhookHeard { delivery: sent.delivery.into(), result: heard.name().to_owned(), why: None })
    }
}

/// The word for what is not about the project's repository.
const IGNORED: &str = "ignored";

fn rejected(rejected: Rejected) -> Problem {
    warn!(why = rejected.code(), "a webhook was turned away");
    Problem::new(rejected.status(), rejected.code(), rejected.to_string()).fix(rejected.fix())
}

fn is_too_long(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>())
}
