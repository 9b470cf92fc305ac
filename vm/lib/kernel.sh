# shellcheck shell=bash
# What fetch needs to know about Debian kernel packages: how to unpack one, where
# the uncompressed kernel hides, and which files its modules need.

unpack_debs() { # TREE DEB...
    local tree=$1 deb
    shift
    for deb; do
        dpkg -x "$deb" "$tree"
    done
}

number_at() { # FILE OFFSET BYTES
    od -An -v -j "$2" -N "$3" -t "u$3" "$1" | tr -d ' '
}

# A bzImage names the place of its compressed ELF kernel in the setup header
# (Documentation/arch/x86/boot.rst). All but gzip is followed by four bytes of size.
extract_vmlinux() { # VMLINUZ OUT
    local image=$1 out=$2 sectors start length
    local -a unpack
    sectors=$(number_at "$image" $((0x1f1)) 1)
    start=$(((sectors + 1) * 512 + $(number_at "$image" $((0x248)) 4)))
    length=$(number_at "$image" $((0x24c)) 4)
    case $(od -An -j "$start" -N 2 -t x1 "$image" | tr -d ' ') in
    fd37) unpack=(xz -dc) ;;
    28b5) unpack=(zstd -dcq) ;;
    0221) unpack=(lz4 -dcq) ;;
    1f8b) unpack=(gzip -dc) length=$((length + 4)) ;;
    *) die 1 "${image##*/}: unknown compression" ;;
    esac
    # head closes the pipe early, hence no pipefail here.
    (
        set +o pipefail
        tail -c "+$((start + 1))" "$image" | head -c $((length - 4)) | "${unpack[@]}" >"$out"
    )
}

# Copies NAME's module and all it depends on, decompressed. Quiet when there is
# none: built in, or not in this kernel.
copy_module() { # FROM TO NAME
    local from=$1 to=$2 name=${3//-/_} file needs need
    [[ ! -e $to/$name.ko ]] || return 0
    file=$(find "$from" -name "${name//_/[-_]}.ko*" -print -quit)
    [[ -n $file ]] || return 0
    case $file in
    *.xz) xz -dc "$file" >"$to/$name.ko" ;;
    *.zst) zstd -dcq "$file" >"$to/$name.ko" ;;
    *) cp "$file" "$to/$name.ko" ;;
    esac
    needs=$(tr '\0' '\n' <"$to/$name.ko" | sed -n 's/^depends=//p' | tr ',' ' ')
    for need in $needs; do
        copy_module "$from" "$to" "$need"
    done
}
