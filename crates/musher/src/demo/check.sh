#!/bin/sh
# The demo's gate: what is there must work.
set -eu
if [ -f greeting.txt ]; then grep -q NAME greeting.txt; fi
if [ -f api.sh ]; then
    got=$(sh api.sh Ada)
    if [ "$got" != "Hello, Ada!" ]; then
        echo "sh api.sh Ada printed \"$got\" and should print \"Hello, Ada!\"" >&2
        exit 1
    fi
fi
if [ -f page.html ]; then grep -q '<h1>' page.html; fi
echo "all checks passed"
