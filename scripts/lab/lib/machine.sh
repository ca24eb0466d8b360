# shellcheck shell=bash
# shellcheck disable=SC2154  # the constants are in common.sh and initramfs.sh
# An emulated machine from start to end, whichever emulator it is: run with a time limit, its output followed live, stopped
# on every way out, and its verdict read. The emulator is the only process a lab leaves running, and it dies with us.

LAB_PID=''

# lab_work_dir: sets LAB_WORK to a directory of this run's own, locked while we or the emulator live. Those of runs that were
# killed before they could clean up go first.
lab_work_dir() {
  local stale base=${TMPDIR:-/tmp}
  while IFS= read -r -d '' stale; do
    if flock --nonblock "$stale" true; then rm -rf "$(dirname "$stale")"; fi
  done < <(find "$base" -maxdepth 2 -path '*/twofold-lab.*/lock' -user "$(id -u)" -mmin +1 -print0 2>/dev/null)
  LAB_WORK=$(mktemp -d "$base/twofold-lab.XXXXXX")
  exec {LAB_LOCK}>"$LAB_WORK/lock"
  flock "$LAB_LOCK"
}

lab_make_disk() {  # lab_make_disk FILE: an empty ext4 file system of LAB_DISK_MB
  lab_need mke2fs:e2fsprogs
  truncate -s "${LAB_DISK_MB}M" "$1"
  mke2fs -q -t ext4 "$1" || lab_die "cannot make the scratch disk"
}

# lab_start WORK-DIR EMULATOR...: in the background, with the time limit; it also ends should this script be killed.
lab_start() {
  local work=$1
  shift
  setpriv --pdeathsig TERM timeout --kill-after=5 "$LAB_TIMEOUT" "$@" </dev/null >"$work/emulator" 2>&1 &
  LAB_PID=$!
}

# lab_stop: ends the emulator if it still runs. timeout(1) passes the signal on to it.
lab_stop() {
  [[ $LAB_PID ]] || return 0
  kill -TERM "$LAB_PID" 2>/dev/null || true
  wait "$LAB_PID" 2>/dev/null || true
  LAB_PID=''
}

# lab_follow WORK-DIR: copies the command's output to ours as it comes, and returns when the emulator has ended: with its status.
lab_follow() {
  local work=$1 out err status=0
  local copy=(setpriv --pdeathsig TERM tail -q -c +1 -s 0.1 --pid="$LAB_PID" -f)
  "${copy[@]}" "$work/stdout" &
  out=$!
  "${copy[@]}" "$work/stderr" >&2 &
  err=$!
  wait "$LAB_PID" || status=$?
  LAB_PID=''
  wait "$out" "$err" || true
  return "$status"
}

# lab_verdict WORK-DIR EMULATOR-STATUS: unpacks /out into LAB_OUT and returns the command's exit status, or says why there is none.
lab_verdict() {
  local work=$1 emulator=$2 status=''
  mkdir "$work/unpacked"
  if tar -xf "$work/result" -C "$work/unpacked" 2>/dev/null && [[ -s $work/unpacked/.lab/status ]]; then
    status=$(<"$work/unpacked/.lab/status")
  fi
  if [[ $LAB_OUT ]]; then
    mkdir -p "$LAB_OUT"
    [[ -d $work/unpacked/out ]] && cp -a "$work/unpacked/out/." "$LAB_OUT/"
    [[ -e $work/console ]] && cp "$work/console" "$LAB_OUT/lab-console.log"
  fi
  [[ $status ]] && return "$status"
  lab_last_lines "$work"
  if ((emulator == 124 || (emulator == 137 && SECONDS >= LAB_TIMEOUT))); then
    printf 'lab: the time limit of %s s has passed; the lab was stopped\n' "$LAB_TIMEOUT" >&2
    return "$kExitTimeout"
  fi
  printf 'lab: the lab ended without a verdict (the emulator exited with %s)\n' "$emulator" >&2
  return "$kExitLabFailure"
}

# lab_last_lines WORK-DIR: why it died, as far as its console and its emulator tell: from the first sign of a kernel bug on, else
# the end.
lab_last_lines() {
  local file bug
  for file in console emulator; do
    [[ -s $1/$file ]] || continue
    bug=$(grep -a -n -m 1 -E 'Kernel panic|BUG:|Oops:|general protection|lab-init: FAILED' "$1/$file" | cut -d: -f1) || true
    printf -- '--- last lines of the lab'\''s %s ---\n' "$file" >&2
    if [[ $bug ]]; then sed -n "$bug,$((bug + 24))p" "$1/$file"; else tail -n 25 "$1/$file"; fi | tr -d '\r' >&2
  done
  printf -- '---\n' >&2
}
