//! `cargo run -p musher-forge-fake -- owner/name=PATH.git`: a GitHub to try musher against.
//!
//! Each repository is given by its name and the bare git repository behind it; lines of standard input change what there
//! is: `issue owner/name TITLE`, `close owner/name N`, `review owner/name N approve|reject TEXT`, `ci owner/name pass|fail`.

use std::io::BufRead;

use musher_forge_fake::{Fake, Person};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    match serve().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("musher-forge-fake: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1).peekable();
    let mut address = "127.0.0.1:0".to_owned();
    if arguments.next_if(|a| a == "--listen").is_some() {
        address = arguments.next().ok_or("--listen needs an address, such as 127.0.0.1:8099")?;
    }
    let fake = Fake::start_as_it_is("", &address).await?;
    if !fake.checks() {
        eprintln!("GitHub's descriptions are not here: nothing is checked against them until `scripts/github` has run");
    }
    for argument in arguments {
        let (name, path) = argument.split_once('=').ok_or(format!("`{argument}` is not owner/name=PATH.git"))?;
        fake.world(|world| world.add_repository(name).git = Some(path.into()));
    }
    println!("MUSHER_FORGE_API={} GITHUB_TOKEN={} REVIEW_TOKEN={}", fake.api(), fake.token(), fake.review_token());
    let lines = fake.clone();
    let reading = tokio::task::spawn_blocking(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            println!("{}", lines.world(|world| change(world, &line)).unwrap_or_else(|why| format!("no: {why}")));
            lines.violations().iter().for_each(|wrong| eprintln!("outside of the description: {wrong}"));
        }
    });
    reading.await.map_err(|error| error.to_string())
}

fn change(world: &mut musher_forge_fake::World, line: &str) -> Result<String, String> {
    let mut words = line.splitn(3, ' ');
    let [verb, name, rest] = [words.next(), words.next(), words.next()].map(Option::unwrap_or_default);
    if !world.repositories.contains_key(name) {
        return Err(format!("there is no repository `{name}`"));
    }
    let number = |text: &str| text.trim_start_matches('#').parse::<u64>().map_err(|_| format!("`{text}` is no number"));
    let owner = Person { login: "owner".to_owned(), association: "OWNER" };
    match verb {
        "issue" => Ok(format!("#{}", world.add_issue(name, rest, "", owner))),
        "close" => {
            let n = number(rest)?;
            world.repository(name).issues.get_mut(&n).ok_or("no such issue")?.open = false;
            Ok("closed".to_owned())
        }
        "review" => {
            let (n, rest) = rest.split_once(' ').ok_or("review NAME N approve|reject TEXT")?;
            let (verdict, text) = rest.split_once(' ').unwrap_or((rest, ""));
            let state = match verdict {
                "approve" => "APPROVED",
                "reject" => "CHANGES_REQUESTED",
                other => return Err(format!("`{other}` is neither approve nor reject")),
            };
            world.add_review(name, number(n)?, owner, state, text);
            Ok(verdict.to_owned())
        }
        "ci" => {
            let end = if rest == "fail" { "failure" } else { "success" };
            world.repository(name).ci = Some(Box::new(move |_| vec![("ci".to_owned(), end.to_owned())]));
            Ok(format!("the next heads get: {end}"))
        }
        other => Err(format!("`{other}` is none of issue, close, review, ci")),
    }
}
