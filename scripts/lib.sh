# shellcheck shell=bash
# What the scripts share. They are thin: msgctl does the work, and its options
# are theirs.

lib_root=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")

# fail TEXT: a wrong command line or set-up.
fail() {
  echo "${0##*/}: $*" >&2
  exit 2
}

# wants_help ARGS: whether --help or -h is among them.
wants_help() {
  local arg
  for arg; do
    case $arg in
      -h | --help) return 0 ;;
      --) return 1 ;;
    esac
  done
  return 1
}

# find_msgctl prints where the binary is: the built one of this checkout, else
# one built from its source, else the one that is installed.
find_msgctl() {
  local cache new
  if [[ -x $lib_root/bin/msgctl ]]; then
    echo "$lib_root/bin/msgctl"
  elif [[ -f $lib_root/cmd/msgctl/main.go ]] && command -v go >/dev/null; then
    # Not "go run": it loses the exit code and the working directory. The move
    # lets several scripts start at once.
    cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/messaging-worker
    mkdir -p "$cache"
    new=$(mktemp "$cache/msgctl.XXXXXX")
    if ! go build -C "$lib_root" -o "$new" ./cmd/msgctl >&2; then
      rm -f "$new"
      fail "msgctl cannot be built from the source beside this script"
    fi
    mv -f "$new" "$cache/msgctl"
    echo "$cache/msgctl"
  elif command -v msgctl >/dev/null; then
    command -v msgctl
  elif [[ -x /usr/local/bin/msgctl ]]; then
    echo /usr/local/bin/msgctl
  else
    fail "msgctl is neither built (make build) nor on the PATH"
  fi
}

# run_msgctl ARGS: becomes msgctl. Settings are those of the environment, and
# what it does not set those of --env-file, or of .env in the working directory,
# or of .env in this checkout; options win over all of them.
run_msgctl() {
  local binary
  binary=$(find_msgctl)
  if [[ ! -f .env && -f $lib_root/.env ]]; then
    set -- --env-file "$lib_root/.env" "$@" # a later --env-file wins
  fi
  exec "$binary" "$@"
}
