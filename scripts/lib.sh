# shellcheck shell=bash
# What the scripts have in common: steps that say how long they took, and tools of pinned versions. Sourced, never run.

# The step that is going on; empty between two.
current_step=""
# One line a finished step, for the summary at the end.
finished_steps=()

# step NAME COMMAND…: announces a step, runs it, and says how long it took. A failing command ends the script.
step() {
  current_step=$1
  shift
  local began=$SECONDS
  printf '\n== %s\n' "$current_step"
  "$@"
  finished_steps+=("$(printf '%5d s  %s' $((SECONDS - began)) "$current_step")")
  printf '== %s: %d s\n' "$current_step" $((SECONDS - began))
  current_step=""
}

# Says at the end, however it came, what passed and what did not. Use as `trap summary EXIT`.
summary() {
  local status=$?
  if ((${#finished_steps[@]} > 0)); then
    printf '\n%s\n' "steps that passed:"
    printf '%s\n' "${finished_steps[@]}"
  fi
  if ((status == 0)); then
    printf '%s\n' "scripts/test: everything passed in $SECONDS s"
  elif [[ -n $current_step ]]; then
    printf '%s\n' "scripts/test: FAILED in the step: $current_step" >&2
  fi
  exit "$status"
}

# at_least HAVE WANTED: whether one dotted version is at least another.
at_least() {
  [[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" == "$2" ]]
}

# Where pinned tools are kept: below the target folder, so that `cargo clean` takes them too.
tools=target/tools

# tool NAME VERSION FLAGS…: builds a tool once and keeps it. Fails, naming the command, when it cannot be had.
tool() {
  local name=$1 version=$2
  shift 2
  if grep -qs "^\"$name $version " "$tools/.crates.toml" && [[ -x "$tools/bin/$name" ]]; then
    return 0
  fi
  echo "building $name $version into $tools (once; a few minutes on 2 cores)"
  if ! cargo install --locked --quiet --root "$tools" --version "$version" "$@" "$name"; then
    echo "missing: $name $version; with a network, \`cargo install --locked --root $tools --version $version $* $name\`" \
      "brings it; MUSHER_TEST_SKIP_TOOLS=1 does without the checks that need it" >&2
    return 1
  fi
}
