# shellcheck shell=bash
# The guest's files: init, namespace labels, and host programs with their libraries.

# LD_LIBRARY_PATH with its relative directories made absolute.
library_path() {
    local -a dirs
    local dir
    IFS=: read -ra dirs <<<"${LD_LIBRARY_PATH-}"
    for dir in "${dirs[@]}"; do
        printf '%s:' "$(realpath -sm "${dir:-.}")"
    done | sed 's/:$//'
}

# Shared objects FILE needs, as the host's loader resolves them, the loader too.
# Silent for a static program or a script.
libraries() { # FILE
    LD_LIBRARY_PATH=$(library_path) ldd "$1" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p'
}

# Puts a host file at GUESTPATH, its libraries at the paths they have here: what
# RUNPATH, $ORIGIN or LD_LIBRARY_PATH found on the host is found in the guest.
add_file() { # ROOT HOSTFILE GUESTPATH
    local root=$1 file=$2 to=$3 library
    mkdir -p "$root${to%/*}"
    cp -rL "$file" "$root$to"
    [[ -f $file ]] || return 0
    for library in $(libraries "$file"); do
        [[ -e $root$library ]] || {
            mkdir -p "$root${library%/*}"
            cp -L "$library" "$root$library"
        }
    done
}

# One -f of the command line.
add_named() { # ROOT HOSTFILE[:GUESTPATH]
    local host=${2%%:*} guest=${2#*:}
    [[ -e $host ]] || return 1
    add_file "$1" "$host" "$(realpath -sm "$guest")"
}

quoted() { # WORD...
    local word
    for word; do
        printf "'%s' " "${word//\'/\'\\\'\'}"
    done
}

# A command the guest can be told to run by its number.
add_command() { # ROOT NUMBER WORD...
    local root=$1 number=$2
    shift 2
    mkdir -p "$root/urx/commands"
    echo "exec $(quoted "$@")" >"$root/urx/commands/$number"
}

start_root() { # ROOT SLOT [NAME=VALUE...]
    local root=$1 setting
    mkdir -p "$root"/{bin,etc,urx}
    cp "$vm/guest/init" "$root/init"
    cp "$vm/guest/urx-modprobe" "$root/bin/urx-modprobe"
    cp "$vm/guest/passwd" "$vm/guest/group" "$root/etc/"
    table "$vm/namespaces" | awk '{ print NR, $1 }' >"$root/urx/labels"
    for setting in URX_VM=1 URX_KERNEL="$2" ${LD_LIBRARY_PATH+"LD_LIBRARY_PATH=$(library_path)"} "${@:3}"; do
        echo "export ${setting%%=*}=$(quoted "${setting#*=}")"
    done >"$root/urx/env"
}

# Archives may be strung together; the kernel unpacks them one after the other.
pack() { # SLOTDIR ROOT INITRD
    cp "$1/base.cpio" "$3"
    (cd "$2" && find . | cpio --quiet -o -H newc -R 0:0) >>"$3"
}
