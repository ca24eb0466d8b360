# shellcheck shell=bash
# The lab's root file system, as two newc cpio archives one after the other (the kernel unpacks both): the base, made once
# and cached (busybox, kernel modules, scripts/lab/init), and the payload of this run (see payload.sh).

# Modules a lab may load, by the lab or device that wants them; dependencies are found by modprobe.
readonly kLabModules=(kvm-amd kvm-intel virtio_blk ata_piix sd_mod)

# What making the archives takes, for lab_need.
# shellcheck disable=SC2034  # used by the emulators
readonly kBaseNeeds=(busybox:busybox-static cpio:cpio xz:xz-utils modprobe:kmod strip:binutils as:binutils ld:binutils ldd:libc-bin flock:util-linux)

# initramfs_base KERNEL_DIR: sets LAB_BASE to the base archive's path, making it if its parts have changed.
initramfs_base() {
  local kernel=$1 cache key archive
  cache=$(lab_cache_dir)
  key=$(cat "$LAB_SCRIPTS/init" "$LAB_SCRIPTS/hold-kvm.S" "$LAB_SCRIPTS/lib/initramfs.sh" "$(command -v busybox)" | sha256sum | cut -c1-16)
  archive=$cache/base-$(kernel_version "$kernel")-$key.cpio
  if [[ ! -e $archive ]]; then
    (
      flock 9
      [[ -e $archive ]] || initramfs_make_base "$kernel" "$archive"
    ) 9>"$cache/base.lock"
  fi
  # shellcheck disable=SC2034  # for the emulators
  LAB_BASE=$archive
}

# initramfs_skeleton DIR: the directories of a merged-/usr Debian, so that carried files keep their paths.
initramfs_skeleton() {
  local dir
  mkdir -p "$1"/usr/{bin,sbin,lib,lib32,lib64}
  for dir in bin sbin lib lib32 lib64; do
    ln -s "usr/$dir" "$1/$dir"
  done
}

initramfs_make_base() {  # initramfs_make_base KERNEL_DIR ARCHIVE
  local kernel=$1 archive=$2 root applet
  lab_say "making the labs' base file system (once)"
  root=$(mktemp -d "$archive.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$root' '$root.cpio'" EXIT
  initramfs_skeleton "$root"
  mkdir -p "$root"/{dev,proc,sys,tmp,run/user/0,var,root,out,disk,etc,.lab}
  chmod 1777 "$root/tmp"
  chmod 700 "$root/run/user/0" "$root/root"
  ln -s /run "$root/var/run"
  ln -s /tmp "$root/var/tmp"
  ln -s /proc/mounts "$root/etc/mtab"
  echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
  echo 'root:x:0:' >"$root/etc/group"
  echo '127.0.0.1 localhost lab' >"$root/etc/hosts"
  install -m 755 "$(command -v busybox)" "$root/usr/bin/busybox"
  for applet in $(busybox --list-full); do
    applet=$root/usr/${applet#usr/}
    [[ -e $applet || -L $applet ]] || ln -s /usr/bin/busybox "$applet"
  done
  install -m 755 "$LAB_SCRIPTS/init" "$root/init"
  as -o "$root.o" "$LAB_SCRIPTS/hold-kvm.S"
  ld -o "$root/usr/sbin/hold-kvm" "$root.o"
  rm "$root.o"
  initramfs_modules "$kernel" "$root/usr/lib/modules"
  initramfs_pack "$root" >"$root.cpio"
  find "${archive%/*}" -maxdepth 1 -name 'base-*.cpio' -mtime +30 -delete
  mv "$root.cpio" "$archive"
}

# initramfs_modules KERNEL_DIR DIR: unpacks every module into DIR, and lists for each the order to load it in as DIR/NAME.
initramfs_modules() {
  local kernel=$1 dir=$2 version name line file
  version=$(kernel_version "$kernel")
  mkdir -p "$dir"
  for name in "${kLabModules[@]}"; do
    while read -r line; do
      [[ $line == insmod* ]] || continue
      line=${line#insmod }
      line=${line% }
      file=${line##*/}
      file=${file%%.*}.ko
      [[ -e $dir/$file ]] || initramfs_module "$line" "$dir/$file"
      echo "$file" >>"$dir/$name"
    done < <(modprobe -d "$kernel" -S "$version" --show-depends "$name")
    [[ -s $dir/$name ]] || lab_die "the kernel $version has no module $name"
  done
}

# initramfs_module FROM TO: unpacked, and without debug symbols and signature: to check kvm.ko's costs Bochs ten seconds.
initramfs_module() {
  case $1 in
    *.xz) xz -dc "$1" >"$2" ;;
    *.zst) zstd -qdc "$1" >"$2" ;;
    *) cp "$1" "$2" ;;
  esac
  strip --strip-debug "$2"
}

# initramfs_pack DIR: writes DIR's contents as a cpio archive, owned by root, padded to the 4 bytes the kernel wants.
initramfs_pack() {
  (cd "$1" && find . -mindepth 1 -print0 | LC_ALL=C sort -z | cpio --quiet -0 -o -H newc -R 0:0)
}
