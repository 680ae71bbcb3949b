use super::*;
use proptest::prelude::*;

const WORKTREE: &str = "/w/tree";

fn list(texts: &str) -> Box<[Rule]> {
    texts.split(';').map(str::trim).filter(|t| !t.is_empty()).map(|t| Rule::parse(t).unwrap()).collect()
}

/// `allow; allow | ask | deny`.
fn rules(text: &str) -> Rules {
    let mut lists = text.split('|').map(list);
    let mut next = || lists.next().unwrap_or_default();
    Rules { allow: next(), ask: next(), deny: next(), allow_inside: Box::default() }
}

fn said(rules: &Rules, action: &Action) -> &'static str {
    match rule(rules, action, WORKTREE) {
        Ruling::Allow => "allow",
        Ruling::Deny(_) => "deny",
        Ruling::Ask => "ask",
    }
}

fn shell(rules: &Rules, command: &str) -> &'static str {
    said(rules, &Action::Shell(command.into()))
}

#[test]
fn every_command_of_a_text_is_judged_as_the_table_says() {
    let rows: &[(&str, &[(&str, &str)])] = &[
        (
            "shell:cargo *",
            &[
                ("cargo test", "allow"),
                ("cargo", "allow"),
                ("cargo-evil test", "ask"),
                ("./cargo test", "ask"),
                ("/usr/bin/cargo test", "ask"),
                ("c\"arg\"o te\\st", "allow"),
                ("$'cargo' test", "allow"),
                ("'cargo test'", "ask"),
                ("cargo test $X", "allow"),
                ("$X test", "ask"),
                ("c*o test", "ask"),
                ("{cargo,test}", "ask"),
                ("cargo test # rm", "allow"),
                ("", "ask"),
                ("# cargo", "ask"),
                ("cargo test && cargo run", "allow"),
                ("cargo test && rm x", "ask"),
                ("cargo test; rm x", "ask"),
                ("cargo test\nrm x", "ask"),
                ("cargo test & rm x", "ask"),
                ("cargo test || rm x", "ask"),
                ("cargo test | cargo run", "allow"),
                ("cargo test | sh", "ask"),
                ("cargo test |& rm", "ask"),
                ("(cargo test)", "allow"),
                ("(rm x)", "ask"),
                ("{ cargo test; }", "allow"),
                ("{ rm x; }", "ask"),
                ("cargo $(cargo x)", "allow"),
                ("cargo $(rm x)", "ask"),
                ("cargo \"$(rm x)\"", "ask"),
                ("cargo '$(rm x)'", "allow"),
                ("cargo `rm x`", "ask"),
                ("cargo <(rm x)", "ask"),
                ("cargo <(cargo x)", "allow"),
                ("cargo ${X:-$(rm x)}", "ask"),
                ("cargo $((1 + $(rm x)))", "ask"),
                ("cargo $[1 + $(rm x)]", "ask"),
                ("cargo ${ rm x; }", "ask"),
                ("cargo `cargo \\`rm x\\``", "ask"),
                ("cargo <<E\n$(rm x)\nE", "ask"),
                ("cargo <<'E'\n$(rm x)\nE", "allow"),
                ("cargo <<< $(rm x)", "ask"),
                ("if cargo a; then cargo b; fi", "allow"),
                ("if cargo a; then rm b; fi", "ask"),
                ("while cargo a; do rm x; done", "ask"),
                ("for i in 1 2; do cargo $i; done", "allow"),
                ("for PATH in .; do cargo x; done", "ask"),
                ("for i in $(rm x); do cargo $i; done", "ask"),
                ("case $(rm x) in *) cargo x;; esac", "ask"),
                ("[[ -f $(rm x) ]] && cargo x", "ask"),
                ("[[ -f x ]] && cargo x", "allow"),
                ("cargo() { rm x; }; cargo", "ask"),
                ("coproc rm x", "ask"),
                ("! cargo test", "allow"),
                ("! rm x", "ask"),
                ("time cargo test", "allow"),
                ("time rm x", "ask"),
                ("cargo test\\\n; rm x", "ask"),
                ("cargo $'\\''; rm x #'", "ask"),
                ("cargo \"a\\\"\"; rm x #\"", "ask"),
                ("cargo #\nrm x", "ask"),
                ("cargo a#b; rm x", "ask"),
                ("cargo <<E\nx\nE\nrm x", "ask"),
                ("cargo <<\"E\"F\nx\nEF\nrm x", "ask"),
                ("cargo <<E; rm x\nE\n", "ask"),
                ("cargo\rx", "ask"),
                ("cargo <<-E\n\tE\nrm x", "ask"),
                ("cargo \"${x:-\"}\"; rm x #\"", "ask"),
                ("cargo ${x#'}'}; rm x", "ask"),
                ("cargo $(case x in x) rm x;; esac)", "ask"),
                ("cargo \"$(cat <<E\n)\nE\n)\"; rm x", "ask"),
                ("cargo\u{a0}x", "ask"),
                ("cargo a; ((rm x))", "ask"),
                ("cargo a; [[ a && rm x ]]", "ask"),
                ("cargo a; [[ a > b ]]", "ask"),
                ("if", "ask"),
                ("cargo test )", "ask"),
                ("alias cargo=rm; cargo x", "ask"),
            ],
        ),
        (
            "shell:cargo *",
            &[
                ("sh -c 'cargo test'", "allow"),
                ("sh -c 'rm x'", "ask"),
                ("bash -lc 'cargo a; cargo b'", "allow"),
                ("/bin/bash -lc 'cargo a'", "allow"),
                ("./bash -lc 'cargo a'", "ask"),
                ("bash -lc 'cargo a; rm b'", "ask"),
                ("bash -c \"$X\"", "ask"),
                ("bash -eo pipefail -c 'cargo a'", "allow"),
                ("bash --rcfile x -c 'cargo a'", "ask"),
                ("bash cargo", "ask"),
                ("sh", "ask"),
                ("BASH_ENV=x bash -c 'cargo a'", "ask"),
                ("eval cargo test", "allow"),
                ("eval rm x", "ask"),
                ("eval $X", "ask"),
                ("eval \"cargo; rm x\"", "ask"),
                ("X=1 cargo test", "ask"),
                ("env X=1 cargo test", "ask"),
                ("env cargo test", "allow"),
                ("PATH=.; cargo test", "ask"),
                ("env -S 'rm x' cargo", "ask"),
                ("env --unset cargo rm x", "ask"),
                ("timeout 5 cargo test", "allow"),
                ("timeout 5 rm x", "ask"),
                ("timeout -s cargo 5 rm x", "ask"),
                ("nohup cargo test", "allow"),
                ("nohup rm x", "ask"),
                ("exec cargo test", "allow"),
                ("exec rm x", "ask"),
                ("nice -n 5 nohup timeout -k 1 5 cargo test", "allow"),
                ("nice -n 5 nohup timeout -k 1 5 rm x", "ask"),
                ("xargs cargo", "allow"),
                ("xargs rm", "ask"),
                ("xargs -n 1 cargo", "allow"),
                ("xargs -I cargo cargo", "ask"),
                ("sudo cargo test", "ask"),
                ("command cargo", "allow"),
                ("command rm", "ask"),
                ("./nohup cargo", "ask"),
                ("find . -exec cargo {} \\;", "ask"),
            ],
        ),
        ("shell:sudo *", &[("sudo cargo", "ask"), ("sudo", "allow")]),
        ("shell:sudo *; shell:cargo *", &[("sudo cargo x", "allow"), ("sudo rm x", "ask")]),
        ("shell:find *", &[("find . -name x", "allow"), ("find . -exec rm {} +", "ask")]),
        ("shell:RUST_LOG=* cargo *", &[("RUST_LOG=debug cargo test", "allow"), ("PATH=. cargo test", "ask")]),
        (
            "shell:cargo *; edit:out/**",
            &[
                ("cargo a > out/x", "allow"),
                ("cargo a > x", "ask"),
                ("cargo a >> out/../x", "ask"),
                ("cargo a > $X", "ask"),
                ("cargo a &> out/x", "allow"),
                ("cargo a >| x", "ask"),
                ("cargo a >& x", "ask"),
                ("cargo a 2>&1", "allow"),
                ("cargo a 2> /dev/null", "allow"),
                ("cargo a > ~/x", "ask"),
                ("cargo a > /w/tree/out/x", "allow"),
                ("cargo a > /etc/x", "ask"),
                ("(cargo a) > x", "ask"),
                ("cargo a < x", "ask"),
                ("cargo a > >(rm x)", "ask"),
                ("> out/x", "ask"),
            ],
        ),
        ("shell:cargo *; shell:cd *; edit", &[("cd / && cargo > etc/x", "ask"), ("cd / && cargo", "allow")]),
        (
            "shell:git * | shell:git push * | shell:git push --force *",
            &[
                ("git status", "allow"),
                ("git push origin", "ask"),
                ("git push -f origin", "deny"),
                ("git push origin --force", "deny"),
                ("git push origin $X", "ask"),
                ("git $X", "ask"),
                ("git status $X", "allow"),
            ],
        ),
        (
            "shell || shell:rm -rf *",
            &[
                ("rm x", "allow"),
                ("rm -r x", "allow"),
                ("rm -rf x", "deny"),
                ("rm -fr x", "deny"),
                ("rm -r -f x", "deny"),
                ("rm --recursive --force x", "deny"),
                ("rm -Rfv x", "deny"),
                ("/bin/rm -rf x", "deny"),
                ("rm x -rf", "deny"),
                ("r\"m\" -rf x", "deny"),
                ("rm -$X x", "ask"),
                ("$X -rf /", "ask"),
                ("rm $X", "ask"),
                ("X=1 rm -rf x", "deny"),
                ("find . -exec rm -rf {} +", "deny"),
                ("ssh host rm -rf x", "deny"),
                ("xargs rm -rf", "deny"),
                ("rm -rf x )", "deny"),
                ("f() { rm -rf x; }", "deny"),
                ("echo 'rm -rf x'", "allow"),
                ("ssh host 'rm -rf x'", "deny"),
                ("ssh host ls", "allow"),
                ("echo 'rm -rf x' | sh", "ask"),
                ("find . -exec sh -c 'rm -rf x' \\;", "deny"),
                ("bash -c \"rm -rf $X\"", "deny"),
                ("trap 'rm -rf x' EXIT", "deny"),
                ("sh -c \"sh -c 'rm -rf x'\"", "deny"),
                ("bash x.sh", "allow"),
            ],
        ),
        (
            "shell; edit || edit:.git/**",
            &[("echo > .git/config", "deny"), ("echo > .GIT/config", "deny"), ("echo > x", "allow")],
        ),
    ];
    for (text, commands) in rows {
        let rules = rules(text);
        for (command, expected) in *commands {
            assert_eq!(shell(&rules, command), *expected, "rules `{text}`, command `{command}`");
        }
    }
}

#[test]
fn files_addresses_and_tools_are_judged_as_the_table_says() {
    let edit = |path: &str| Action::Edit([path.into()].into());
    let read = |path: &str| Action::Read([path.into()].into());
    let fetch = |url: &str| Action::Fetch(url.into());
    let other = |name: &str, args: &str| Action::Other(name.into(), args.into());
    let rows = [
        ("edit:src/**", edit("src/a/b.rs"), "allow"),
        ("edit:src/**", edit("/w/tree/src/a.rs"), "allow"),
        ("edit:src/**", edit("./src/x/../a.rs"), "allow"),
        ("edit:src/**", edit("src/../a.rs"), "ask"),
        ("edit:src/**", edit("/src/a.rs"), "ask"),
        ("edit:src/**", edit("../tree2/src/a.rs"), "ask"),
        ("edit:src/**", read("src/a.rs"), "ask"),
        ("edit:/abs/**", edit("/abs/x"), "allow"),
        ("edit:/abs/**", edit("../../abs/x"), "allow"),
        ("edit:/abs/**", edit("/abs/../x"), "ask"),
        ("edit:/abs/**", edit("abs/x"), "ask"),
        ("edit:/w/**", edit("x"), "allow"),
        ("edit", edit("x"), "allow"),
        ("edit", edit("/w/tree"), "allow"),
        ("edit", edit("/w/treeish/x"), "ask"),
        ("edit", edit("~/x"), "ask"),
        ("edit", Action::Edit(["x".into(), "/y".into()].into()), "ask"),
        ("edit", Action::Edit([].into()), "ask"),
        ("edit|edit:a", Action::Edit(["x".into(), "a".into()].into()), "ask"),
        ("edit||edit:a", Action::Edit(["x".into(), "a".into()].into()), "deny"),
        ("read:*.md", read("a.md"), "allow"),
        ("read:*.md", read("x/a.md"), "ask"),
        ("fetch:https://docs.rs/*", fetch("https://docs.rs/x"), "allow"),
        ("fetch:https://docs.rs/*", fetch("https://DOCS.rs/"), "allow"),
        ("fetch:https://docs.rs/*", fetch("http://docs.rs/x"), "ask"),
        ("fetch:https://docs.rs/*", fetch("https://docs.rs.evil.example/"), "ask"),
        ("fetch:https://docs.rs/*", fetch("https://docs.rs@evil.example/"), "ask"),
        ("fetch:https://*.rs/*", fetch("https://evil.example/x.rs/"), "ask"),
        ("fetch||fetch:*://evil.example/*", fetch("https://a@evil.example:8080/"), "deny"),
        ("mcp__x__*", other("mcp__x__send", ""), "allow"),
        ("mcp__x__*", other("mcp__y__send", ""), "ask"),
        ("mcp__x__*:*inner*", other("mcp__x__send", "an inner one"), "allow"),
        ("mcp__x__*:*inner*", other("mcp__x__send", "outer"), "ask"),
        ("*||mcp__x__*", other("mcp__x__send", ""), "deny"),
        ("*", Action::Shell("ls".into()), "ask"),
    ];
    for (text, action, expected) in rows {
        assert_eq!(said(&rules(text), &action), expected, "rules `{text}`, {action:?}");
    }
}

#[test]
fn the_default_looks_and_edits_inside_and_asks_for_the_rest() {
    let rows = [
        ("ls", "allow"),
        ("ls -la src", "allow"),
        ("ls /", "ask"),
        ("ls ..", "ask"),
        ("cat /w/tree/a", "allow"),
        ("cat ~/.ssh/id", "ask"),
        ("cat $X", "ask"),
        ("cat a | grep b | head -n 3", "allow"),
        ("cat < /etc/x", "ask"),
        ("cat < a", "allow"),
        ("git status && git diff", "allow"),
        ("git diff --output=x", "ask"),
        ("git push", "ask"),
        ("git -C /x status", "ask"),
        ("find . -name '*.rs'", "allow"),
        ("find . -delete", "ask"),
        ("find . $X", "ask"),
        ("find . -exec cat {} +", "ask"),
        ("grep -f/etc/x a", "ask"),
        ("grep --file=/etc/x a", "ask"),
        ("rg --pre=x a", "ask"),
        ("sed -i s/a/b/ x", "ask"),
        ("cargo test", "ask"),
        ("cd src && ls", "allow"),
        ("cd && ls", "ask"),
        ("cd - && ls", "ask"),
        ("cd /w/tree && git log", "allow"),
        ("echo x > a", "allow"),
        ("echo x > .git/hooks/pre-commit", "ask"),
        ("echo x > /etc/a", "ask"),
        ("LD_PRELOAD=./x ls", "ask"),
        ("test -v 'a[$(rm x)]'", "ask"),
        ("test -f a && pwd", "allow"),
        ("[ -f a ] && pwd", "allow"),
        ("[[ $'a[\\x24(rm x)]' -eq 0 ]] && ls", "ask"),
    ];
    for (command, expected) in rows {
        assert_eq!(shell(&default_rules(), command), expected, "`{command}`");
    }
    let edit = |path: &str| said(&default_rules(), &Action::Edit([path.into()].into()));
    assert_eq!(["a", ".git", ".git/config", "sub/.git/x", "/x"].map(edit), ["allow", "ask", "ask", "ask", "ask"]);
    assert_eq!((default_rules().allow_inside.len(), default_rules().ask.len()), default::counts());
}

#[test]
fn a_rule_without_a_pattern_or_with_a_bad_one_is_refused() {
    for text in ["", " ", ":x", "edit:", "shell: ", "mcp__x:", "edit:[", "edit:../x/**"] {
        let refused = Rule::parse(text).unwrap_err();
        assert!(!refused.fix().is_empty() && !refused.to_string().is_empty(), "`{text}`");
    }
    for text in ["read", "edit:src/**", "shell:cargo *", "fetch:https://docs.rs/*", "mcp__x__*", "tool:a:b"] {
        let rule = Rule::parse(text).unwrap();
        let json = serde_json::to_string(&rule).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Rule>(&json).unwrap(), rule);
    }
}

#[test]
fn a_denial_names_the_rule() {
    let ruling = rule(&rules("shell||shell:rm *"), &Action::Shell("ls; rm x".into()), WORKTREE);
    assert_eq!(ruling, Ruling::Deny("`rm x` is denied by the rule `shell:rm *`".into()));
}

#[test]
fn what_is_too_deep_or_too_long_is_asked() {
    for open in ["(", "$(", "`", "{ ", "${x:-", "$((", "<(", "if ", "! ", "[[ ( ", "case x in ", "a=(", "f() ", "\"$("]
    {
        assert_eq!(shell(&rules("shell"), &open.repeat(100_000)), "ask", "{open}");
        for deep in [10, 20, 30, 32, 60, 63] {
            shell(&rules("shell"), &open.repeat(deep));
        }
    }
    for flat in ["a;", "a && ", "a | ", "a\n", "a <x ", "- ", "nohup ", "sudo ", "a=1 ", "*", "$x", "'a'", "~ - + ! "] {
        let text = format!("{}a", flat.repeat(60_000 / flat.len()));
        shell(&rules("shell||shell:rm -rf *"), &text);
        let text = format!("{}{}a", "$(".repeat(31), flat.repeat(900));
        shell(&rules("shell||shell:rm -rf *"), &text);
        let text = format!("{}{}a{}", "(".repeat(63), flat.repeat(900), ")".repeat(63));
        shell(&rules("shell||shell:rm -rf *"), &text);
    }
    assert_eq!(shell(&rules("shell"), &format!("echo {}", "x".repeat(70_000))), "ask");
    assert_eq!(shell(&rules("shell||shell:rm *"), &format!("rm x; echo {}", "x".repeat(70_000))), "deny");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*", signs in "[a-z $(){}<>|&;'\"`\\\\\n\\[\\]!*~=#0-9é-]{0,80}") {
        for text in [text, signs] {
            shell(&default_rules(), &text);
            let _ = Rule::parse(&text);
            for action in [Action::Edit([text.as_str().into()].into()), Action::Fetch(text.as_str().into())] {
                rule(&rules("edit;fetch:https://*/*"), &action, &text);
            }
        }
    }

    #[test]
    fn a_denied_command_stays_denied_wherever_it_stands(
        command in prop::sample::select(vec!["rm -rf x", "rm -fr /", "/bin/rm -r -f a b", "r\\m -rf x"]),
        around in prop::collection::vec(prop::sample::select(vec![
            "ls; @", "@ && ls", "ls || @", "ls | @", "@ | ls", "@ &", "(@)", "{ @; }", "echo $(@)", "echo \"$(@)\"",
            "cat <(@)", "if @; then ls; fi", "while ls; do @; done", "for i in a; do @; done", "! @", "X=$(@)",
            "case x in x) @;; esac", "f() { @; }", "ls > $(@)", "ls\n@", "[[ -n $(@) ]]",
        ]), 0..4),
        before in prop::sample::select(vec!["", "env X=1 ", "sudo ", "nohup ", "timeout 5 ", "xargs ", "exec ", "Y=2 "]),
        text in prop::sample::select(vec!["@", "sh -c '@'", "bash -lc '@'", "eval '@'", "sudo bash -c '@'", "`@`"]),
    ) {
        let inner = around.iter().fold(format!("{before}{command}"), |inner, place| place.replace('@', &inner));
        let whole = text.replace('@', &inner);
        prop_assert_eq!(shell(&rules("shell||shell:rm -rf *"), &whole), "deny", "{}", whole);
    }
}
