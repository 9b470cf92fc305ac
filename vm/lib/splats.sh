# shellcheck shell=bash

# Whether a kernel log tells of a bug, but for those in allowed-splats. Prints
# the log without these.
splats() { # LOG
    local allowed
    allowed=$(table "$vm/allowed-splats" | paste -sd '|')
    awk -v allowed="$allowed" '
        /\[ cut here \]/ { block = ""; inside = 1 }
        inside { block = block $0 "\n" }
        !inside { print }
        /\[ end trace/ { flush() }
        END { flush() }
        function flush() {
            if (inside && block !~ allowed) printf "%s", block
            inside = 0
        }' "$1" | tr -d '\r' >"$1.told"
    grep -Eq 'BUG:|WARNING:|Oops|kernel BUG|general protection|UBSAN:|KASAN:|refcount_t:|soft lockup|rcu: INFO|blocked for more than' "$1.told" &&
        cat "$1.told"
}
