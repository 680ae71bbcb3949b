//! The forge of a project: found, asked for issues, and given to the daemon as a driver.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use musher_core::command::Report;
use musher_core::config::{Config, ForgeConfig, SecretRef};
use musher_core::forge::{ForgeFailure, ForgeWork, Home, NotAReference, Reference};
use musher_core::plan::{self, Compiled, Issue, IssueComment, Manifest};
use musher_engine::driver::{self, Work};
use musher_engine::job::ForgeJob;
use musher_engine::{Clock, SystemClock};
use musher_forge::driver::ForgeDriver;
use musher_forge::trust::{Judge, Trusted};
use musher_forge::webhook::WebhookSecret;
use musher_forge::{ApiBase, Author, Forge, ForgeError, GitHub, RepositoryName, Token, find_token};
use musher_git::{RemoteName, Repository};
use musher_server::WebhookSetup;

use tokio::sync::OnceCell;

use crate::daemon::read_secret;
use crate::error::{Exit, Failure};

/// What issues are compiled, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct IssueArgs {
    /// An issue: `23`, `owner/name#23` or its address; may be given more than once
    #[arg(long = "issue", value_name = "ISSUE")]
    pub(crate) issues: Vec<String>,
    /// A manifest (TOML) that says of issues, by number, what their labels and texts do not
    #[arg(long, value_name = "FILE", requires = "issues")]
    manifest: Option<PathBuf>,
    /// An account whose words reach the agents too, for this once
    #[arg(long, value_name = "NAME", requires = "issues")]
    trust: Vec<String>,
}

/// The forge of a project.
pub(crate) struct ProjectForge {
    forge: Arc<dyn Forge>,
    /// The host of its pages.
    site: String,
    repo: RepositoryName,
    trusted: Trusted,
}

impl ProjectForge {
    /// Finds the repository and the token. Nothing is asked yet.
    pub(crate) async fn find(config: &ForgeConfig, root: &Path) -> Result<Self, Failure> {
        let base = base_of(config)?;
        let repo = repository_of(config, root, &base)?;
        let configured = config.token.as_ref().map(|token| token_of(token, root)).transpose()?;
        let token = find_token(configured, |name| std::env::var(name).ok(), base.host()).await.ok_or_else(|| {
            Failure::usage("there is no token for the forge")
                .fix("set GITHUB_TOKEN, log in with `gh auth login`, or name one by `token` in [forge] of musher.toml")
        })?;
        let trusted = Trusted { allowed: config.trust.clone() };
        let site = base.site().to_owned();
        Ok(Self { forge: Arc::new(GitHub::new(base, token, clock())), site, repo, trusted })
    }

    /// Reads issues and compiles them into a plan.
    pub(crate) async fn compile(&self, args: &IssueArgs) -> Result<Compiled, Failure> {
        let repo = self.repo.to_string();
        let home = Home { site: &self.site, repo: Some(&repo) };
        let names = names_of(&args.issues, home)?;
        let manifest = match &args.manifest {
            Some(file) => read_manifest(file, &names, home)?,
            None => Manifest::default(),
        };
        let mut trusted = self.trusted.clone();
        trusted.allowed.extend(args.trust.iter().cloned());
        let mut judge = Judge::new(&*self.forge, &self.repo, &trusted);
        let mut issues = Vec::with_capacity(names.len());
        for name in &names {
            issues.push(self.read(name, &mut judge).await.map_err(|error| of_forge(&error))?);
        }
        plan::compile(&issues, &manifest, home, &nonce()).map_err(|problems| {
            let failure = Failure::usage("the issues cannot be compiled").why(problems.to_string());
            failure.fix("mend what is named; `--manifest FILE` can say otherwise than an issue does")
        })
    }

    async fn read(&self, name: &Reference, judge: &mut Judge<'_>) -> Result<Issue, ForgeError> {
        let repo = match &name.repo {
            None => self.repo.clone(),
            Some(repo) => RepositoryName::parse(repo)
                .ok_or_else(|| ForgeError::Missing { what: format!("repository `{repo}`") })?,
        };
        let found = self.forge.issue(&repo, name.number).await?;
        if found.is_pull {
            return Err(ForgeError::Invalid { what: format!("{name} is a pull request, and no issue") });
        }
        let elsewhere = name.repo.is_some();
        let trusted = judge.trusts(&seen_from_here(&found.author, elsewhere)).await?;
        let mut comments = Vec::new();
        for comment in self.forge.comments(&repo, name.number).await? {
            let trusted = judge.trusts(&seen_from_here(&comment.author, elsewhere)).await?;
            comments.push(IssueComment { author: comment.author.login, trusted, text: comment.body });
        }
        Ok(Issue {
            reference: name.clone(),
            url: found.url,
            title: found.title,
            body: found.body,
            labels: found.labels,
            closed: !found.open,
            author: found.author.login,
            trusted,
            comments,
        })
    }
}

/// The daemon's forge: found when something is first asked of it, for most missions ask nothing. What is missing then is
/// looked for again the next time, so that whoever logs in meanwhile restarts nothing.
pub(crate) struct DaemonForge {
    config: ForgeConfig,
    root: PathBuf,
    found: Arc<OnceCell<ForgeDriver>>,
    /// The forge under the account of the reviewers: found when there is the first review, and what lacks stops nothing else.
    reviewers: Arc<OnceCell<Arc<dyn Forge>>>,
}

impl DaemonForge {
    pub(crate) fn new(config: ForgeConfig, root: PathBuf) -> Self {
        Self { config, root, found: Arc::new(OnceCell::new()), reviewers: Arc::new(OnceCell::new()) }
    }
}

impl driver::Forge for DaemonForge {
    fn carry_out(&self, job: ForgeJob) -> Work<Report> {
        let (config, root, found) = (self.config.clone(), self.root.clone(), Arc::clone(&self.found));
        let reviewers = Arc::clone(&self.reviewers);
        Box::pin(async move {
            let driver = async {
                let driver = found.get_or_try_init(|| async {
                    let ProjectForge { forge, repo, trusted, site: _ } = ProjectForge::find(&config, &root).await?;
                    Ok::<_, Failure>(ForgeDriver::new(forge, repo, trusted))
                });
                let driver = driver.await?.clone();
                let Some(token) = config.review_token.as_ref().filter(|_| is_review(&job)) else { return Ok(driver) };
                let reviewers = reviewers.get_or_try_init(|| async {
                    let token = token_of(token, &root)?;
                    Ok::<Arc<dyn Forge>, Failure>(Arc::new(GitHub::new(base_of(&config)?, token, clock())))
                });
                Ok::<_, Failure>(driver.reviewing(Arc::clone(reviewers.await?)))
            };
            match driver.await {
                Ok(driver) => driver.carry_out(job).await,
                Err(failure) => Report::ForgeFailed(ForgeFailure::Refused(failure.in_one_line().into())),
            }
        })
    }
}

fn is_review(job: &ForgeJob) -> bool {
    matches!(job.work, ForgeWork::ReviewPull { .. })
}

fn clock() -> musher_forge::Clock {
    Arc::new(|| SystemClock.now())
}

/// Who owns another repository owns nothing here: what the forge says of an author there counts for nothing.
fn seen_from_here(author: &Author, elsewhere: bool) -> Author {
    let mut author = author.clone();
    if elsewhere {
        author.association = String::new();
    }
    author
}

/// Whose webhooks are taken, and what they are signed with; nothing when the configuration names no secret of theirs.
pub(crate) fn webhook_setup(config: &Config, root: &Path) -> Result<Option<WebhookSetup>, Failure> {
    let Some(reference) = &config.forge.webhook else { return Ok(None) };
    let secret = WebhookSecret::new(&read_secret(reference, root)?).ok_or_else(|| {
        Failure::usage("the secret of the forge's webhooks is empty")
            .fix("put at least 32 random characters there, such as those of `openssl rand -hex 32`")
    })?;
    let repository = repository_of(&config.forge, root, &base_of(&config.forge)?)?;
    Ok(Some(WebhookSetup { secret, reference: reference.to_string(), repository }))
}

fn base_of(config: &ForgeConfig) -> Result<ApiBase, Failure> {
    let Some(api) = &config.api else { return Ok(ApiBase::github()) };
    ApiBase::parse(api)
        .map_err(|why| Failure::usage(format!("`forge.api` cannot be used: {why}")).fix("mend musher.toml"))
}

/// The project's repository at the forge.
fn repository_of(config: &ForgeConfig, root: &Path, base: &ApiBase) -> Result<RepositoryName, Failure> {
    let repo = match &config.repo {
        Some(repo) => RepositoryName::parse(repo),
        None => of_origin(root, base)?,
    };
    repo.ok_or_else(|| {
        Failure::usage("no repository of a forge is known")
            .why("`forge.repo` is not set, and the remote `origin` names none of this forge")
            .fix("write repo = \"owner/name\" into [forge] of musher.toml")
    })
}

/// The repository that `origin` names, if it is one of this forge.
fn of_origin(root: &Path, base: &ApiBase) -> Result<Option<RepositoryName>, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::failed(error.to_string());
    let repository = Repository::open(root).map_err(|error| failed(&error))?;
    let origin = RemoteName::parse("origin").map_err(|error| failed(&error))?;
    let address = repository.address_of(&origin).map_err(|error| failed(&error))?;
    let named = address.as_deref().and_then(RepositoryName::of_remote);
    Ok(named.filter(|(host, _)| host.eq_ignore_ascii_case(base.site())).map(|(_, name)| name))
}

fn token_of(reference: &SecretRef, root: &Path) -> Result<Token, Failure> {
    let text = read_secret(reference, root)?;
    Token::new(&text).ok_or_else(|| {
        Failure::usage("the forge's token is empty, or holds what no token does")
            .fix("put the token there, and nothing else")
    })
}

/// The issues that are meant, each once.
fn names_of(texts: &[String], home: Home<'_>) -> Result<Vec<Reference>, Failure> {
    let mut names: Vec<Reference> = Vec::with_capacity(texts.len());
    for text in texts {
        let name = Reference::of_objective(text, home.site).map_err(|error| {
            let fix = match &error {
                NotAReference::Unreadable(_) => "`--issue 23`, `--issue owner/name#23`, or the address of its page",
                NotAReference::Elsewhere { .. } => {
                    "name an issue of that forge, or set `api` in [forge] of musher.toml"
                }
            };
            Failure::usage(error.to_string()).fix(fix)
        })?;
        let name = name.seen_from(home.repo);
        if !names.iter().any(|known| known.is(&name)) {
            names.push(name);
        }
    }
    Ok(names)
}

fn read_manifest(file: &Path, names: &[Reference], home: Home<'_>) -> Result<Manifest, Failure> {
    let name = file.display().to_string();
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::usage(format!("the manifest `{name}` cannot be read")).why(error.to_string()))?;
    plan::parse_manifest(&name, &bytes, names, home)
        .map_err(|problems| Failure::usage(format!("the manifest `{name}` cannot be used")).why(problems.to_string()))
}

fn of_forge(error: &ForgeError) -> Failure {
    let exit = match error {
        ForgeError::Missing { .. } | ForgeError::Gone { .. } => Exit::NotFound,
        ForgeError::Invalid { .. } => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::caused(exit, error).fix(error.fix())
}

/// A word that no author of an issue can know.
fn nonce() -> String {
    let mut bytes = [0u8; 12];
    match std::fs::File::open("/dev/urandom").and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes)) {
        Ok(()) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        // Without it the clock is what is left; a text that holds the word lengthens it.
        Err(_) => format!("{:x}", SystemClock.now().as_micros()),
    }
}
