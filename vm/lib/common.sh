# shellcheck shell=bash

me=vm/${0##*/}
vm=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cache=${URX_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/liburing-ext/vm}

say() { echo "$me: $*" >&2; }
die() { # STATUS MESSAGE
    say "$2"
    exit "$1"
}

# Lines of a table, without comments.
table() { sed 's/[[:space:]]*#.*//; /^[[:space:]]*$/d' "$1"; }

need() { # COMMAND...
    local command
    for command; do
        command -v "$command" >/dev/null ||
            die 77 "no $command here; Debian packages needed: $("$vm/deps")"
    done
}
