# shellcheck shell=bash
# The native "lab", this machine itself, and the choice of the best lab that works here.

# native_probe: does this machine's own KVM run a guest with 32-bit paging? Only the built VMM can tell: a /dev/kvm that is
# there may be one without two-dimensional paging, and such a guest dies on it. TWOFOLD names the binary.
native_probe() {
  local binary
  [[ -r /dev/kvm && -w /dev/kvm ]] || return 1
  for binary in "${TWOFOLD:-}" "$LAB_SCRIPTS"/../../build/{release,debug,tsan}/{bin/,vmm/,}twofold; do
    [[ -f $binary && -x $binary ]] || continue
    { "$binary" doctor --json 2>/dev/null || true; } | tr -d ' \n' | grep -Eq '"probe":\{[^}]*"ok":true'
    return
  done
  return 1
}

native_nests() {
  [[ -r /dev/kvm && -w /dev/kvm ]] && grep -qsE '^[Y1]' /sys/module/kvm_{intel,amd}/parameters/nested
}

native_best_lab() {
  if native_probe; then echo native; elif native_nests; then echo kvm; else echo svm; fi
}

# native_lab COMMAND...: runs it right here, with a directory that stands for /out.
native_lab() {
  local status=0 out=$LAB_OUT
  [[ ! $LAB_TIMEOUT ]] && LAB_TIMEOUT=300
  trap cleanup EXIT
  lab_work_dir
  : "${out:=$LAB_WORK/out}"
  mkdir -p "$out"
  TWOFOLD_LAB=native TWOFOLD_OUT=$(realpath "$out") TWOFOLD_DISK=$LAB_WORK \
    timeout --foreground --kill-after=5 "$LAB_TIMEOUT" "$@" </dev/null || status=$?
  return "$status"
}
