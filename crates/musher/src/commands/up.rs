//! `musher up`.

use std::io::{IsTerminal, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use musher_core::config::Config;
use musher_engine::Paths;
use musher_server::Client;

use crate::connect::{Context, answers};
use crate::daemon::{self, Daemon, Held, Listen, Role};
use crate::error::{Exit, Failure, Outcome};
use crate::project::{Project, hub_in};
use crate::{notify, output};

/// Start the daemon of this repository: dispatcher and API
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Start it in the background and come back when it answers
    #[arg(long)]
    detach: bool,
    /// Also listen on this address; a token from `.musher/token` is needed there
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Be a hub: show what other projects tell, and dispatch nothing; the folder needs no repository
    #[arg(long)]
    hub: bool,
    /// Wait while another musher holds this repository's state, instead of being refused
    #[arg(long)]
    wait: bool,
    /// Where readiness is told to (set by `--detach`)
    #[arg(long, hide = true)]
    ready_on_stdout: bool,
}

pub(crate) async fn run(args: &Args, cx: &Context) -> Outcome {
    if args.detach { detached(args, cx).await } else { foreground(args, cx).await }
}

async fn foreground(args: &Args, cx: &Context) -> Outcome {
    let (paths, config, role) = wanted(args, cx)?;
    let level = std::env::var("MUSHER_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = tracing_subscriber::EnvFilter::try_new(level).unwrap_or_default();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Lossy(std::io::stderr()))
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let listen = where_to_listen(args, &config.server)?;
    let held = if args.wait { Held::Wait } else { Held::Refuse };
    let daemon = Daemon::start_at(paths, config, role, listen, held).await?;
    let found = output::found(&daemon.found());
    let http = daemon.http().map(|http| format!("; {}", output::http(&http))).unwrap_or_default();
    let what = if role == Role::Hub { "a hub of musher" } else { "musher" };
    let line = format!("{what} is up (pid {}): {found}{http}", std::process::id());
    output::line(&line);
    notify::ready(&line);
    if args.ready_on_stdout {
        // The starter reads one line and goes; from here on nobody reads what is said.
        let null = std::fs::File::options().write(true).open("/dev/null")?;
        nix::unistd::dup2_stdout(&null).map_err(std::io::Error::from)?;
    }
    daemon.until_asked_to_stop().await?;
    Ok(0)
}

/// The project, which has to have a configuration.
pub(super) fn set_up(cx: &Context) -> Result<Project, Failure> {
    let project = cx.project()?;
    if !project.is_set_up() {
        return Err(Failure::new(Exit::Usage, "there is no `musher.toml` here").fix("`musher init` writes a first one"));
    }
    Ok(project)
}

/// What is started, and where.
fn wanted(args: &Args, cx: &Context) -> Result<(Paths, Config, Role), Failure> {
    if !args.hub {
        let Project { paths, config, repository } = set_up(cx)?;
        daemon::exclude(&repository)?;
        return Ok((paths, config, Role::Project));
    }
    let (paths, config) = hub_in(&cx.folder)?;
    if !paths.config().exists() {
        return Err(Failure::new(Exit::Usage, "there is no `musher.toml` here").fix(daemon::FIRST_HUB));
    }
    Ok((paths, config, Role::Hub))
}

fn where_to_listen(args: &Args, server: &musher_core::config::ServerSettings) -> Result<Listen, Failure> {
    if let Some(address) = args.listen {
        return Ok(Listen::There(address));
    }
    if !server.http {
        return Ok(Listen::SocketOnly);
    }
    let address = server.listen.parse().map_err(|_| {
        Failure::usage(format!("`{}` is no address to listen on", server.listen)).fix("write it as 127.0.0.1:7787")
    })?;
    Ok(Listen::IfFree(address))
}

/// Standard error that loses what it cannot write: a full disk must not end the daemon by way of its log.
struct Lossy(std::io::Stderr);

impl std::io::Write for Lossy {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// Starts the daemon in a session of its own and waits for the line that says that it answers.
async fn detached(args: &Args, cx: &Context) -> Outcome {
    let (paths, ..) = wanted(args, cx)?;
    if !args.wait && answers(&Client::new(paths.socket())).await.is_ok_and(|answers| answers) {
        return Err(Failure::new(Exit::Refused, "a daemon runs for this repository already")
            .fix("`musher status` shows it, `musher down` stops it"));
    }
    let opened = daemon::make_private(&paths.state)
        .and_then(|()| std::fs::File::options().create(true).append(true).open(paths.log()));
    let log = opened.map_err(|error| {
        Failure::failed(format!("`{}` cannot be written", paths.state.display()))
            .why(error.to_string())
            .fix("own the folder or mount it writable")
    })?;
    let before = log.metadata().map_or(0, |m| m.len());
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.arg("-C").arg(&paths.root).args(["up", "--ready-on-stdout"]);
    if let Some(address) = args.listen {
        command.arg("--listen").arg(address.to_string());
    }
    if args.hub {
        command.arg("--hub");
    }
    if args.wait {
        command.arg("--wait");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).process_group(0);
    let mut child = command.spawn()?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = std::io::BufReader::new(stdout);
        let _ = std::io::BufRead::read_line(&mut stdout, &mut said);
    }
    if said.is_empty() {
        let code = child.wait()?.code();
        return Err(why_not(&last_words(&paths.log(), before), code));
    }
    let status = Client::new(paths.socket()).status().await.ok();
    let http = status.and_then(|status| status.daemon.http);
    cx.say(&serde_json::json!({"pid": child.id(), "http": http}), || output::line(said.trim_end()))
}

/// The daemon's own error and exit code, as if it had been started in the foreground.
pub(super) fn why_not(words: &str, code: Option<i32>) -> Failure {
    let exit = code.and_then(Exit::of).unwrap_or(Exit::Failed);
    let lines = format!("\n{words}");
    let Some((_, error)) = lines.rsplit_once("\nerror: ") else {
        let failure = Failure::new(exit, "the daemon did not start").fix("`musher up` shows what it says");
        return if words.is_empty() { failure } else { failure.why(words) };
    };
    let (rest, fix) = error.split_once("\n  fix: ").map_or((error, None), |(rest, fix)| (rest, Some(fix)));
    let (what, why) = rest.split_once("\n  why: ").map_or((rest, None), |(what, why)| (what, Some(why)));
    let plain = |text: &str| text.replace("\n       ", "\n");
    let mut failure = Failure::new(exit, format!("the daemon did not start: {what}"));
    if let Some(why) = why {
        failure = failure.why(plain(why));
    }
    if let Some(fix) = fix {
        failure = failure.fix(plain(fix));
    }
    failure
}

/// The end of the log after this place: what the daemon said before it gave up.
pub(super) fn last_words(log: &std::path::Path, after: u64) -> String {
    const TAIL: u64 = 2_000;
    let mut text = Vec::new();
    if let Ok(mut file) = std::fs::File::open(log) {
        use std::io::Seek;
        let length = file.metadata().map_or(0, |m| m.len());
        let _ = file.seek(std::io::SeekFrom::Start(length.saturating_sub(TAIL).max(after)));
        let _ = file.take(TAIL).read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).trim().to_owned()
}
