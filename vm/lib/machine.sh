# shellcheck shell=bash
# One guest at a time: start, wait for its init, send it commands, stop.
#
# The guest's init is told what to do over a pair of FIFOs. A qemu chardev on
# stdio would not do: at end of file on stdin the guest's writes block for ever.

silence=${URX_VM_SILENCE:-15}
boot_limit=120
attempts=3
machine_pid=

# Where the guest's ports out, err and log end: plain files by default; a FIFO
# made there beforehand works as well.
machine_prepare() { # DIR SLOTDIR
    machine=$1
    kernel=$2
    initrd=$machine/initrd
    console=$machine/console
    mkfifo "$machine/ctl.in" "$machine/ctl.out"
}

machine_start() { # [KERNEL ARGUMENT...]
    local port
    # qemu 7.2 with a thread per virtual CPU: one boot in thirty fell over kernel text
    # being patched (an int3 met too late). 10.0 does not, and is faster with threads.
    local threads=${URX_VM_THREADS:-single}
    [[ ! $(qemu-system-x86_64 --version) =~ version\ [1-9][0-9] ]] || threads=multi
    # KVM is not used: where it is offered inside another guest Debian kernels may
    # not run. TCG is slower on "max" than on this CPU, which has what crc32c likes.
    # shellcheck disable=SC2054 # commas are qemu's
    local -a qemu_args=(
        -accel "tcg,thread=$threads,tb-size=512"
        -cpu qemu64,+rdrand,+ssse3,+sse4.1,+sse4.2,+popcnt,+aes,+pclmulqdq
        -M q35 -m 1024 -smp 2
        -nodefaults -no-user-config -display none -no-reboot
        -kernel "$kernel/vmlinux" -initrd "$initrd"
        -device virtio-serial
    )
    [[ -z ${URX_VM_ICOUNT-} ]] || qemu_args+=(-icount "$URX_VM_ICOUNT")
    qemu_args+=(-chardev "pipe,id=ctl,path=$machine/ctl")
    for port in out err log; do
        qemu_args+=(-chardev "file,id=$port,path=$machine/$port,append=on")
    done
    for port in ctl out err log; do
        qemu_args+=(-device "virtserialport,chardev=$port,name=$port")
    done
    # edd=off: the boot code's EDD probe of an NVMe disk hangs SeaBIOS at times.
    qemu_args+=(-append "console=ttyS0 panic=-1 edd=off mitigations=off nokaslr audit=0 no_timer_check tsc=reliable random.trust_cpu=on nvme_core.multipath=N nvme.poll_queues=1 $*")
    rm -f "$machine"/*.img
    make_disks "$machine"

    if [[ $* == *urx.shell* ]]; then
        qemu-system-x86_64 "${qemu_args[@]}" -chardev stdio,id=con,signal=off -serial chardev:con
        return
    fi
    : >"$console"
    qemu-system-x86_64 "${qemu_args[@]}" -serial "file:$console" 2>"$machine/qemu.log" </dev/null &
    machine_pid=$!
    # Read-write, so that neither open waits for qemu's.
    exec {ctl_in}<>"$machine/ctl.in" {ctl_out}<>"$machine/ctl.out"
}

machine_alive() { [[ -n $machine_pid ]] && kill -0 "$machine_pid" 2>/dev/null; }

machine_stop() {
    [[ -n $machine_pid ]] || return 0
    kill -KILL "$machine_pid" 2>/dev/null || :
    wait "$machine_pid" 2>/dev/null || :
    machine_pid=
    exec {ctl_in}>&- {ctl_out}>&-
}

# The guest's next line, into answer. Fails when the guest has gone, or at the
# deadline (of bash's SECONDS), or (quiet limit given) when the console stands still.
machine_answer() { # DEADLINE [QUIET]
    local quiet=${2-} size seen=-1 since=$SECONDS piece line=
    while ! IFS= read -r -t 0.5 -u "$ctl_out" piece; do
        # A timeout may cut a line in two.
        line+=$piece
        if ! machine_alive; then
            # Its last words may still be in the FIFO.
            IFS= read -r -t 0.1 -u "$ctl_out" piece && break
            answer=gone
            return 1
        fi
        ((SECONDS < $1)) || { answer=late; return 1; }
        [[ -n $quiet ]] || continue
        size=$(stat -c %s "$console")
        ((size == seen)) || since=$SECONDS
        seen=$size
        ((SECONDS - since < quiet)) || { answer=silent; return 1; }
    done
    answer=$line$piece
}

# Starts a guest and waits for its init. One that hangs or dies on the way is
# started anew.
machine_boot() {
    local try
    for ((try = 1; try <= attempts; try++)); do
        machine_start ''
        machine_answer $((SECONDS + boot_limit)) "$silence" && [[ $answer == ready ]] && return
        machine_stop
        ((try == attempts)) || say "the guest did not boot ($answer); starting it again"
    done
    return 1
}

machine_send() { # WORD...
    echo "$*" >&"$ctl_in"
}

# What is known of a guest's death: a long trace pushes its headline out of the tail.
machine_tail() {
    cat "$machine/qemu.log"
    grep -E 'BUG:|Oops|Kernel panic' "$console" | head -n 3 || :
    echo ...
    tail -n 30 "$console"
}
