# shellcheck shell=bash
# A private apt: Debian suites of our choice, on the mirror this machine already
# uses, without touching its own lists. Sets up one instance per directory.

# The repository that serves a suite: the machine's own for plain or for
# security suites, whichever of apt's two source formats names it.
# shellcheck disable=SC2016
apt_mirror() { # main|security
    local kind=$1 override=URX_VM_MIRROR uri suite component
    [[ $kind == main ]] || override=URX_VM_SECURITY_MIRROR
    if [[ -n ${!override-} ]]; then
        echo "${!override}"
        return
    fi
    while read -r uri suite component; do
        [[ $component == main ]] || continue
        case $kind:$suite in
        *:*-backports* | *:experimental) ;;
        security:*-security | security:*/updates) echo "$uri"; return ;;
        main:*-security | main:*/updates) ;;
        main:bullseye* | main:bookworm* | main:trixie* | main:forky* | main:sid | \
        main:*stable* | main:testing*)
            echo "$uri"; return ;;
        esac
    done < <(apt-get indextargets 'Created-By: Packages' \
        --format '$(REPO_URI) $(RELEASE) $(COMPONENT)')
    return 1
}

apt_setup() { # DIR SUITE...
    local dir=$1 suite main security
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    shift
    mkdir -p "$dir"/{lists,archives}/partial
    main=$(apt_mirror main) || return 1
    security=$(apt_mirror security) || security=
    for suite; do
        case $suite in
        *-security) [[ -z $security ]] || echo "$security $suite" ;;
        *) echo "$main $suite" ;;
        esac
    done | sed "s|.*|deb [arch=amd64 signed-by=$keyring] & main|" >"$dir/sources.list"

    # Read last, by -c, so that #clear drops the hooks of the machine's apt.conf.d.
    # Its proxies stay. Security suites that have ended are past Valid-Until.
    cat >"$dir/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::DEP-11-icons;
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Sandbox::User "";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::Retries "2";
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "$dir";
Dir::State::lists "$dir/lists";
Dir::State::status "/dev/null";
Dir::Cache "$dir";
Dir::Cache::archives "$dir/archives";
CONF
}

apt_private() { # DIR COMMAND ARG...
    local dir=$1 command=$2
    shift 2
    "$command" -c "$dir/apt.conf" "$@"
}
