# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
# Completion of urx for bash. Commands and options are those that `urx --help` tells.

_urx() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} tool=${COMP_WORDS[0]} words=
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		words="--help --version $("$tool" --help 2>/dev/null | sed -n 's/^  urx \([a-z]*\) .*/\1/p')"
	elif [[ $before == --guard ]]; then
		words="crc16 ip crc32c crc64"
	elif [[ $before == --check ]]; then
		words="guard ref app storage guard,ref all none"
	elif [[ $before == --type ]]; then
		words="1 2 3"
	elif [[ $word == -* ]]; then
		words=$("$tool" "${COMP_WORDS[1]}" --help 2>/dev/null | grep -oE -- '^ .{5}--[a-z-]+' | grep -oE -- '--.*')
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o filenames -F _urx urx
