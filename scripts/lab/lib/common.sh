# shellcheck shell=bash
# What every part of the labs shares: messages, the cache's place, and packages that are missing.

# Exit statuses of scripts/lab/run that are not the command's own.
# shellcheck disable=SC2034  # used by the files that source this one
readonly kExitTimeout=124 kExitLabFailure=125

lab_cache_dir() {
  printf '%s\n' "${XDG_CACHE_HOME:-${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}/.cache}/twofold/lab"
}

lab_say() {
  [[ ${LAB_QUIET:-} ]] || printf 'lab: %s\n' "$*" >&2
}

# lab_die MESSAGE...: the lab itself failed; the command has no verdict.
lab_die() {
  printf 'lab: %s\n' "$*" >&2
  exit "$kExitLabFailure"
}

# lab_need TOOL:PACKAGE...: fails with the list of Debian packages whose tool (or file, if it has a slash) is missing.
lab_need() {
  local pair tool missing=()
  for pair in "$@"; do
    tool=${pair%:*}
    if [[ $tool == */* ]]; then
      [[ -e $tool ]] || missing+=("${pair##*:}")
    else
      command -v "$tool" >/dev/null || missing+=("${pair##*:}")
    fi
  done
  ((${#missing[@]} == 0)) && return
  lab_die "this lab needs packages that are not installed: ${missing[*]}" \
    "(on Debian 12 and 13: scripts/setup lab, and scripts/setup vmx for the vmx lab)"
}

# lab_quote WORD...: the words, single-quoted for the lab's shell.
lab_quote() {
  local word
  for word in "$@"; do
    printf "'%s' " "${word//\'/\'\\\'\'}"
  done
}
