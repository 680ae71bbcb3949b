//! A fake GitHub and a client of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use musher_core::time::Timestamp;
use musher_forge::{ApiBase, GitHub, NewPull, RepositoryName, Token};
use musher_forge_fake::{Fake, Person, without_descriptions};

pub(crate) struct Bench {
    pub(crate) fake: Fake,
    pub(crate) hub: GitHub,
    pub(crate) repo: RepositoryName,
    /// Seconds since 1970, as the client sees them.
    pub(crate) seconds: Arc<AtomicI64>,
}

pub(crate) const REPO: &str = "octo/hello";

impl Bench {
    /// Nothing, and a word about it, when the descriptions are not there.
    pub(crate) async fn new() -> Option<Self> {
        Self::below("").await
    }

    /// An Enterprise server has its API below `/api/v3`.
    pub(crate) async fn below(prefix: &str) -> Option<Self> {
        let fake = match Fake::start(prefix).await {
            Ok(fake) => fake,
            Err(why) => {
                without_descriptions("all tests against GitHub's descriptions", &why);
                return None;
            }
        };
        fake.world(|world| {
            world.add_repository(REPO).branches.insert("work".to_owned(), "a".repeat(40));
        });
        let seconds = Arc::new(AtomicI64::new(1_800_000_000));
        let read = Arc::clone(&seconds);
        let clock = Arc::new(move || Timestamp::from_micros(read.load(Ordering::Relaxed) * 1_000_000));
        let hub = GitHub::new(ApiBase::parse(&fake.api()).unwrap(), Token::new(fake.token()).unwrap(), clock);
        Some(Self { fake, hub, repo: RepositoryName::parse(REPO).unwrap(), seconds })
    }

    pub(crate) fn now(&self) -> i64 {
        self.seconds.load(Ordering::Relaxed)
    }

    /// Nothing was outside of the descriptions, neither a request nor an answer.
    pub(crate) fn honest(&self) {
        assert_eq!(self.fake.violations(), Vec::<String>::new());
    }

    /// `GET /path`, a line each, since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        let path = |path: &str| path.replace("/repos/octo/hello", "");
        self.fake.take_seen().into_iter().map(|s| format!("{} {} {}", s.method, path(&s.path), s.status)).collect()
    }
}

pub(crate) fn person(login: &str, association: &'static str) -> Person {
    Person { login: login.to_owned(), association }
}

pub(crate) fn new_pull() -> NewPull {
    NewPull {
        title: "Add it".to_owned(),
        body: "Closes #1".to_owned(),
        branch: "work".to_owned(),
        base: "main".to_owned(),
        draft: true,
    }
}
