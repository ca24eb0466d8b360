# shellcheck shell=bash
# The QEMU that emulates AMD-V for the svm lab: the machine's own if it is 8.1 or newer, else a newer Debian's, in the cache.
#
# Before 8.1, two emulated CPUs race when one rewrites code that the other is translating. Linux rewrites its own whenever KVM's first
# VM comes or the last one goes (static keys): with 7.2 the lab's kernel then dies in __schedule, in every second run or so.

readonly kEmulatorPackages=(qemu-system-x86 qemu-system-common qemu-system-data seabios)

emulator_is_new() {  # emulator_is_new QEMU: whether it is 8.1 or newer
  local version
  version=$("$1" --version | sed -n 's/.*version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
  [[ $version ]] && ((${version% *} > 8 || (${version% *} == 8 && ${version#* } >= 1)))
}

# emulator_get: sets LAB_QEMU, the command and its first options.
emulator_get() {
  local dir
  lab_need qemu-system-x86_64:qemu-system-x86
  LAB_QEMU=(qemu-system-x86_64)
  emulator_is_new "${LAB_QEMU[0]}" && return
  dir=$(lab_cache_dir)/qemu
  packages_once "$dir" emulator_fetch "$dir"
  LAB_QEMU=("$dir/usr/bin/qemu-system-x86_64" -L "$dir/usr/share/qemu" -L "$dir/usr/share/seabios")
  "${LAB_QEMU[0]}" --version >/dev/null ||
    lab_die "the emulator in $dir does not start: a library of the machine's own QEMU is missing (scripts/setup lab)"
}

emulator_fetch() {  # emulator_fetch DESTINATION
  local dest=$1 work suite deb
  suite=$(packages_suite 'QEMU 8.1 or newer' 'Install one.')
  work=$(mktemp -d "$dest.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  packages_open "$suite" "$work"
  lab_say "fetching QEMU 8.1 or newer, since this machine's is older (about 14 MB, once)"
  packages_download "$suite" "$work" "${kEmulatorPackages[@]}"
  for deb in "$work"/*.deb; do
    dpkg-deb -x "$deb" "$work/tree" || lab_die "cannot unpack the package '$deb'"
  done
  mv "$work/tree" "$dest"
}
