# shellcheck shell=bash
# shellcheck disable=SC2154  # PACKAGES_APT is set in packages.sh
# The labs' kernel: Debian's own cloud kernel, 6.12 or newer (merging needs 6.8), unpacked into the cache.

# kernel_get: sets LAB_KERNEL to the directory that holds boot/vmlinuz and lib/modules/VERSION, filling the cache first if need be.
# TWOFOLD_LAB_KERNEL names a linux-image .deb to use instead (on distributions other than Debian 12 and 13).
kernel_get() {
  local dir
  dir=$(lab_cache_dir)/kernel
  [[ ${TWOFOLD_LAB_KERNEL:-} ]] && dir+=-$(basename "$TWOFOLD_LAB_KERNEL" .deb)
  packages_once "$dir" kernel_fetch "$dir"
  # shellcheck disable=SC2034  # for the emulators
  LAB_KERNEL=$dir
}

kernel_version() {  # kernel_version KERNEL_DIR
  basename "$1"/lib/modules/*
}

# kernel_download DIR: leaves the kernel's .deb in DIR.
kernel_download() {
  local dir=$1 suite package
  suite=$(packages_suite kernel "Set TWOFOLD_LAB_KERNEL to a linux-image-6.12…-cloud-amd64 .deb (package \
linux-image-cloud-amd64's dependency).")
  packages_open "$suite" "$dir"
  package=$(apt-cache "${PACKAGES_APT[@]}" depends linux-image-cloud-amd64 2>>"$dir/log" |
    sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [[ $package ]] || lab_die "suite $suite has no linux-image-cloud-amd64"
  lab_say "fetching $package (about 35 MB, once)"
  packages_download "$suite" "$dir" "$package"
}

kernel_fetch() {  # kernel_fetch DESTINATION
  local dest=$1 work deb
  work=$(mktemp -d "$dest.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  if [[ ${TWOFOLD_LAB_KERNEL:-} ]]; then
    deb=$TWOFOLD_LAB_KERNEL
  else
    lab_need depmod:kmod
    kernel_download "$work"
    deb=$(echo "$work"/linux-image-*.deb)
  fi
  dpkg-deb -x "$deb" "$work/tree" || lab_die "cannot unpack the kernel package '$deb'"
  # Debian 13 ships modules under /usr/lib; both are reached as lib/modules.
  [[ -d $work/tree/lib ]] || ln -s usr/lib "$work/tree/lib"
  depmod -b "$work/tree" "$(kernel_version "$work/tree")"
  mv "$work"/tree/boot/vmlinuz-* "$work/tree/boot/vmlinuz"
  mv "$work/tree" "$dest"
}
