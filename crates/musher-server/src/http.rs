//! Where the API is served over TCP: what listens there, and what keeps it from doing so.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::middleware;
use musher_engine::Passes;
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::app::App;
use crate::caller::{self, TcpDoor, TcpPeer};
use crate::serve::{ServeError, Tcp, closed, ended};
use crate::{api, routes, token, tools};

/// How long the first pause between two tries is; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// How long a pause is at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is known of the address; clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Http(Arc<RwLock<Option<api::Http>>>);

impl Http {
    /// How it stands; nothing when no address was asked for.
    pub(crate) fn get(&self) -> Option<api::Http> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, address: SocketAddr, error: Option<String>) {
        let stands = api::Http { address: address.to_string(), listening: error.is_none(), error };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(stands);
    }
}

/// An address with all that is needed to listen on it.
pub(crate) struct Door {
    pub(crate) app: App,
    pub(crate) passes: Option<Passes>,
    pub(crate) address: SocketAddr,
    pub(crate) token_file: PathBuf,
}

impl Door {
    /// Takes the address, and notes how that went.
    pub(crate) async fn open(&self) -> Result<Opened, ServeError> {
        let opened = self.bind().await;
        match &opened {
            Ok(opened) => {
                self.app.http().set(opened.address, None);
                info!(address = %opened.address, "listening");
            }
            Err(error) => self.app.http().set(self.address, Some(error.reason())),
        }
        opened
    }

    async fn bind(&self) -> Result<Opened, ServeError> {
        let Self { app, passes, address, token_file } = self;
        let address = *address;
        let token =
            token::load_or_make(token_file).map_err(|source| ServeError::Token { file: token_file.clone(), source })?;
        let refused = |source| ServeError::Address { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let bound = listener.local_addr().map_err(refused)?;
        if !bound.ip().is_loopback() {
            warn!(address = %bound, "listening beyond this machine, without encryption; the token is all that protects it");
        }
        let door = TcpDoor { token, runs: app.engine().paths().runs() };
        let mut router =
            routes::router(app.clone()).layer(middleware::from_fn_with_state(door.clone(), caller::of_tcp));
        // A webhook, and what a project tells a hub, comes through a tunnel, by whatever name that has, and without the token of
        // this machine: a signature opens the door, or a token of the hub.
        router = router.merge(routes::doors(app.clone()));
        if let Some(passes) = passes {
            let of_pass = middleware::from_fn_with_state((passes.clone(), door), tools::of_tcp);
            router = router.merge(tools::router(app.clone()).layer(of_pass));
        }
        Ok(Opened { address: bound, listener, router, app: app.clone() })
    }

    /// Tries until the address can be taken, and serves there; ends with the server. As long as it listens nothing wakes it.
    pub(crate) async fn keep_open(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::select! {
                () = closed(&self.app) => return,
                () = tokio::time::sleep(pause) => {}
            }
            // Why it fails is told by `status`; the log has said it once.
            if let Ok(opened) = self.open().await {
                return opened.serve().await;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// An address that was taken.
pub(crate) struct Opened {
    pub(crate) address: SocketAddr,
    listener: TcpListener,
    router: axum::Router,
    app: App,
}

impl Opened {
    /// Answers whoever comes, until the server ends.
    pub(crate) async fn serve(self) {
        let service = self.router.into_make_service_with_connect_info::<TcpPeer>();
        let serving = axum::serve(Tcp(self.listener), service).with_graceful_shutdown(closed(&self.app));
        ended(serving.await);
    }
}
