# shellcheck shell=bash
# Backing files of the NVMe namespaces, and qemu's arguments for them.

bytes() { numfmt --from=iec "$1"; }

ones() { head -c "$1" /dev/zero | tr '\0' '\377'; }

# qemu keeps the metadata behind all data. Zeros there would fail the reference
# tag check of every block never written; all ones is the escape "do not check".
fill_metadata() { # FILE SIZE BLOCK METADATA
    local file=$1 size=$2 block=$3 metadata=$4
    # shellcheck disable=SC2017 # the rounding is the point
    local data=$((size / (block + metadata) * block))
    ones $((size - data)) | dd of="$file" bs=64K oflag=seek_bytes seek="$data" conv=notrunc status=none
}

le32() {
    local value=$1 i
    for i in 0 8 16 24; do
        printf '\\x%02x' $((value >> i & 255))
    done
}

# An MBR in the data, behind the device's back: block 0 keeps unchecked metadata.
# Partitions start off any round number, so that a seed counted from the
# partition and one counted from the disk cannot be taken for each other.
write_mbr() { # FILE
    local entry='\x00\x00\x00\x00\x83\x00\x00\x00'
    printf "%b" "$entry$(le32 17)$(le32 2000)$entry$(le32 3001)$(le32 4000)" |
        dd of="$1" bs=1 seek=446 conv=notrunc status=none
    printf '\x55\xaa' | dd of="$1" bs=1 seek=510 conv=notrunc status=none
}

# Appends to the array qemu_args.
make_disks() { # DIR
    local dir=$1 nsid=0 label size block properties file
    # shellcheck disable=SC2054 # commas are qemu's
    qemu_args+=(-device nvme,id=nv,serial=liburing-ext)
    while read -r label size block properties; do
        nsid=$((nsid + 1))
        size=$(bytes "$size")
        file=$dir/$label.img
        truncate -s "$size" "$file"
        if [[ $properties =~ (^|,)ms=([0-9]+) ]]; then
            fill_metadata "$file" "$size" "$block" "${BASH_REMATCH[2]}"
        fi
        [[ $label != part ]] || write_mbr "$file"
        qemu_args+=(
            -drive "file=$file,if=none,format=raw,cache=unsafe,id=$label"
            # Without the physical size too qemu refuses a logical one above 512.
            -device "nvme-ns,drive=$label,bus=nv,nsid=$nsid,logical_block_size=$block,physical_block_size=$block${properties:+,$properties}"
        )
    done < <(table "$vm/namespaces")
    # A controller of its own, for tests that take it away.
    truncate -s 16M "$dir/spare.img"
    fill_metadata "$dir/spare.img" "$(bytes 16M)" 4096 8
    # shellcheck disable=SC2054
    qemu_args+=(
        -device nvme,id=spare,serial=spare
        -drive "file=$dir/spare.img,if=none,format=raw,cache=unsafe,id=spare-disk"
        -device "nvme-ns,drive=spare-disk,bus=spare,nsid=1,logical_block_size=4096,physical_block_size=4096,ms=8,pi=1,pil=1"
    )
}
