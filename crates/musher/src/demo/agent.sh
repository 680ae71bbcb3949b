#!/bin/sh
# The demo's agent: a script that does what a prompt's first line asks. Real agents go here in your own musher.toml.
set -eu
title=$(head -n 1 "$1")
conflicts=$(git diff --name-only --diff-filter=U)

if [ -n "$conflicts" ]; then
    echo "both sides changed $conflicts; keeping both lines"
    for file in $conflicts; do
        grep -v -e '^<<<<<<<' -e '^=======' -e '^>>>>>>>' "$file" >"$file.merged"
        mv "$file.merged" "$file"
    done
    echo "resolved the conflict"
    exit 0
fi

echo "working on: $title (attempt $MUSHER_ATTEMPT)"
case $title in
"Describe what a greeting is")
    echo "Hello, NAME!" >greeting.txt
    ;;
"Serve greetings")
    if [ "$MUSHER_ATTEMPT" = 1 ]; then
        # The first try forgets to put the name in: the gate will see it.
        echo 'cat greeting.txt' >api.sh
    else
        echo 'sed "s/NAME/$1/" greeting.txt' >api.sh
    fi
    grep -q served CHANGES || echo "- greetings are served" >>CHANGES
    ;;
"Show greetings on a page")
    echo "<h1>$(cat greeting.txt)</h1>" >page.html
    if [ "$MUSHER_ATTEMPT" = 1 ]; then
        echo "dying in the middle of it"
        kill -9 $$
    fi
    ;;
"Explain greetings")
    echo "Run sh api.sh YOUR-NAME." >GUIDE
    echo "- greetings are explained" >>CHANGES
    ;;
"Release 1.0")
    echo 1.0 >VERSION
    ;;
*)
    echo "this script does not know how to: $title" >&2
    exit 1
    ;;
esac
echo "done: $title"
