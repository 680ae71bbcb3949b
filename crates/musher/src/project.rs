//! The repository around a folder, and its configuration.

use std::path::{Path, PathBuf};

use musher_core::config::{self, Config};
use musher_engine::Paths;
use musher_git::{OpenError, Repository};

use crate::error::{Exit, Failure};

/// A repository with its configuration.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) paths: Paths,
    pub(crate) config: Config,
    pub(crate) repository: Repository,
}

impl Project {
    /// Finds the repository around a folder and reads its configuration.
    pub(crate) fn find(folder: &Path) -> Result<Self, Failure> {
        let repository = open(folder)?;
        let paths = Paths::of(repository.top());
        let config = read_config(&paths)?;
        Ok(Self { paths, config, repository })
    }

    /// Whether `musher.toml` is there.
    pub(crate) fn is_set_up(&self) -> bool {
        self.paths.config().exists()
    }
}

/// The top of the checkout around a folder; without one, the folder around it in which a hub has its state.
pub(crate) fn root_of(folder: &Path) -> Result<PathBuf, Failure> {
    let folder = std::path::absolute(folder)?;
    match open(&folder) {
        Ok(repository) => Ok(repository.top().to_owned()),
        Err(failure) => {
            let is_hub = |folder: &&Path| Paths::of(folder).socket().exists() || Paths::of(folder).token().exists();
            folder.ancestors().find(is_hub).map(Path::to_owned).ok_or(failure)
        }
    }
}

/// The folder of a hub, which needs no repository: the top of the checkout around a folder if there is one, or else the
/// folder itself.
pub(crate) fn hub_in(folder: &Path) -> Result<(Paths, Config), Failure> {
    let folder = std::path::absolute(folder)?;
    let root = match Repository::open(&folder) {
        Ok(repository) => repository.top().to_owned(),
        Err(OpenError::NotARepository { .. }) if folder.is_dir() => folder,
        Err(_) => open(&folder)?.top().to_owned(),
    };
    let paths = Paths::of(root);
    let config = read_config(&paths)?;
    Ok((paths, config))
}

fn open(folder: &Path) -> Result<Repository, Failure> {
    if !folder.exists() {
        return Err(Failure::usage(format!("there is no folder `{}`", folder.display())).fix("name one that exists"));
    }
    Repository::open(folder).map_err(|error| {
        let exit = match &error {
            OpenError::NotARepository { .. } | OpenError::Bare { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        let fix = error.fix();
        Failure::caused(exit, &error).fix(fix)
    })
}

/// Reads the repository's `musher.toml`, then the user's own file, then the environment; each fills what is missing.
pub(crate) fn read_config(paths: &Paths) -> Result<Config, Failure> {
    let own = ("musher.toml".to_owned(), paths.config());
    let mut layers = Vec::new();
    // The weakest first: the repository's own file has the last word before the environment.
    for (name, path) in user_config().into_iter().chain([own]) {
        match std::fs::read(&path) {
            Ok(bytes) => layers.push(config::parse(&name, &bytes).map_err(|problems| {
                Failure::usage(format!("`{name}` cannot be used"))
                    .why(problems.to_string())
                    .fix("mend what is named; `musher config check` looks again")
            })?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Failure::failed(format!("`{}` cannot be read", path.display())).why(error.to_string()));
            }
        }
    }
    let variables = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
    let environment = config::environment(variables)
        .map_err(|problems| Failure::usage("a MUSHER_ variable cannot be used").why(problems.to_string()))?;
    layers.push(environment);
    Ok(Config::resolve(layers))
}

fn user_config() -> Option<(String, PathBuf)> {
    let base = std::env::var_os("XDG_CONFIG_HOME")
        .filter(|v| !v.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")))?;
    let path = base.join("musher/config.toml");
    Some((path.display().to_string(), path))
}
