# shellcheck shell=bash
# shellcheck disable=SC2154  # the constants are in common.sh and initramfs.sh
# The svm and kvm labs: a machine under QEMU. In svm its CPU, AMD-V and nested paging are emulated (TCG; QEMU emulates no
# VMX); in kvm they are the host's own, nested. Both boot the kernel directly; the command's output and result leave by
# virtio-serial ports straight into files.

# -cx16: QEMU 7.2's cmpxchg16b now and then corrupts the flags register, which panics Linux in its slab allocator.
readonly kTcgCpu=max,-cx16

qemu_kvm_module() {  # the module the lab loads
  if [[ $1 == svm ]] || grep -qm1 '^flags.*\bsvm\b' /proc/cpuinfo; then echo kvm-amd; else echo kvm-intel; fi
}

# qemu_lab LAB WORK-DIR COMMAND...: starts the emulator in the background (sets LAB_PID); files appear in WORK-DIR.
qemu_lab() {
  local lab=$1 work=$2
  shift 2
  lab_need qemu-system-x86_64:qemu-system-x86 "${kBaseNeeds[@]}"
  LAB_QEMU=(qemu-system-x86_64)
  [[ $lab == svm ]] && emulator_get
  kernel_get
  initramfs_base "$LAB_KERNEL"
  local config=(LAB="$lab" LAB_KVM="$(qemu_kvm_module "$lab")" LAB_MODULES= LAB_DISK=
    LAB_STDOUT=/dev/vport0p1 LAB_STDERR=/dev/vport0p2 LAB_RESULT=/dev/vport0p3)
  local disk=()
  if ((LAB_DISK_MB > 0)); then
    lab_make_disk "$work/disk"
    disk=(-drive "file=$work/disk,if=virtio,format=raw,cache=unsafe")
    config+=(LAB_MODULES=virtio_blk LAB_DISK=/dev/vda)
  fi
  payload_make "$work/payload" "${config[@]}" -- "$@"
  cat "$LAB_BASE" "$work/payload" >"$work/initrd"
  rm "$work/payload"
  local accelerator=(-accel "tcg,thread=multi" -cpu "$kTcgCpu")
  [[ $lab == kvm ]] && accelerator=(-accel kvm -cpu host)
  : >"$work/stdout"
  : >"$work/stderr"
  # ioeventfd=off: what the lab has written is in the file before it goes on, so nothing is lost when it powers off.
  lab_start "$work" "${LAB_QEMU[@]}" -M pc "${accelerator[@]}" -smp "$LAB_CPUS" -m "$LAB_MEMORY" \
    -nodefaults -no-user-config -display none -no-reboot -serial "file:$work/console" \
    -device virtio-serial-pci,ioeventfd=off \
    -chardev "file,id=stdout,path=$work/stdout" -device virtserialport,chardev=stdout,nr=1 \
    -chardev "file,id=stderr,path=$work/stderr" -device virtserialport,chardev=stderr,nr=2 \
    -chardev "file,id=result,path=$work/result" -device virtserialport,chardev=result,nr=3 \
    "${disk[@]}" -kernel "$LAB_KERNEL/boot/vmlinuz" -initrd "$work/initrd" \
    -append "console=ttyS0 quiet panic=-1 oops=panic random.trust_cpu=on mitigations=off"
}
