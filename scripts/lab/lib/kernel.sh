# shellcheck shell=bash
# The labs' kernel: Debian's own cloud kernel, 6.12 or newer (merging needs 6.8), unpacked into the cache. Nothing is
# installed and the machine's apt set-up stays as it is: a private source list names the one suite that has the kernel.

# kernel_get: sets LAB_KERNEL to the directory that holds boot/vmlinuz and lib/modules/VERSION, filling the cache first if need be.
# TWOFOLD_LAB_KERNEL names a linux-image .deb to use instead (on distributions other than Debian 12 and 13).
kernel_get() {
  local cache dir
  cache=$(lab_cache_dir)
  dir=$cache/kernel
  [[ ${TWOFOLD_LAB_KERNEL:-} ]] && dir=$cache/kernel-$(basename "$TWOFOLD_LAB_KERNEL" .deb)
  if [[ ! -e $dir/boot/vmlinuz ]]; then
    mkdir -p "$cache"
    (
      flock 9
      [[ -e $dir/boot/vmlinuz ]] || kernel_fetch "$dir"
    ) 9>"$cache/kernel.lock"
  fi
  # shellcheck disable=SC2034  # for the emulators
  LAB_KERNEL=$dir
}

kernel_version() {  # kernel_version KERNEL_DIR
  basename "$1"/lib/modules/*
}

# The suite of this Debian that carries a new enough kernel.
kernel_suite() {
  local ID='' VERSION_CODENAME=''
  # shellcheck disable=SC1091
  . /etc/os-release
  case $ID-$VERSION_CODENAME in
    debian-bookworm) echo bookworm-backports ;;
    debian-trixie) echo trixie ;;
    *)
      lab_die "no kernel for the labs on '${ID:-unknown} ${VERSION_CODENAME:-}': they take it from Debian 12 or 13." \
        "Set TWOFOLD_LAB_KERNEL to a linux-image-6.12…-cloud-amd64 .deb (package linux-image-cloud-amd64's dependency)."
      ;;
  esac
}

# The mirror this machine installs Debian from. apt itself reads its sources, in either of their formats.
kernel_mirror() {
  local codename=${1%-backports} uri
  uri=$(apt-get update --print-uris 2>/dev/null | sed -n "s,^'\(.*\)/dists/$codename/InRelease'.*,\1,p" | head -n 1)
  [[ $uri ]] || lab_die "no apt source on this machine names the suite '$codename' (see apt-get update --print-uris)"
  printf '%s\n' "$uri"
}

# kernel_download DIR: leaves the kernel's .deb in DIR.
kernel_download() {
  local dir=$1 suite mirror package keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed=''
  suite=$(kernel_suite)
  mirror=$(kernel_mirror "$suite")
  [[ -e $keyring ]] && signed="[signed-by=$keyring] "
  mkdir -p "$dir"/lists/partial "$dir"/cache/archives/partial
  echo "deb $signed$mirror $suite main" >"$dir/kernel.list"
  local apt=(-o "Dir::Etc::SourceList=$dir/kernel.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User= -q)
  lab_say "fetching the list of packages of $suite"
  apt-get "${apt[@]}" update >"$dir/log" 2>&1 || { tail -n 20 "$dir/log" >&2; lab_die "apt-get update failed for $suite"; }
  package=$(apt-cache "${apt[@]}" depends linux-image-cloud-amd64 2>>"$dir/log" |
    sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
  [[ $package ]] || lab_die "suite $suite has no linux-image-cloud-amd64"
  lab_say "fetching $package (about 35 MB, once)"
  (cd "$dir" && apt-get "${apt[@]}" download "$package" >>log 2>&1) ||
    { tail -n 20 "$dir/log" >&2; lab_die "could not download $package"; }
}

kernel_fetch() {  # kernel_fetch DESTINATION
  local dest=$1 work deb
  work=$(mktemp -d "$dest.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  if [[ ${TWOFOLD_LAB_KERNEL:-} ]]; then
    deb=$TWOFOLD_LAB_KERNEL
  else
    lab_need apt-get:apt dpkg-deb:dpkg depmod:kmod
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
