# shellcheck shell=bash
# shellcheck disable=SC2154  # the constants are in common.sh and initramfs.sh
# The vmx lab: a machine under Bochs, whose CPU emulates Intel VT-x with EPT instruction by instruction. It boots from a CD
# image. Console, output and result each leave by a serial port that is a file: no driver to load, unlike a disk.

readonly kIsolinux=/usr/lib/ISOLINUX/isolinux.bin
readonly kLdlinux=/usr/lib/syslinux/modules/bios/ldlinux.c32
readonly kBochsBios=/usr/share/bochs/BIOS-bochs-latest
readonly kBochsVgaBios=/usr/share/vgabios/vgabios.bin

# At Bochs's speed each calibration loop, self-test and security module costs seconds (55 s in all become 25 s without).
# reboot=t: a panic ends in a triple fault, which ends the emulator.
readonly kVmxKernelArguments="console=ttyS0 quiet panic=-1 oops=panic reboot=t nokaslr mitigations=off tsc=reliable lpj=1000000
  no_timer_check random.trust_cpu=on lsm= audit=0 cryptomgr.notests init_on_alloc=0 rodata=off"

# vmx_lab WORK-DIR COMMAND...: starts the emulator in the background (sets LAB_PID); files appear in WORK-DIR.
vmx_lab() {
  local work=$1
  shift
  lab_need bochs:bochs "$kBochsBios:bochsbios" "$kBochsVgaBios:vgabios" \
    "$kIsolinux:isolinux" "$kLdlinux:syslinux-common" genisoimage:genisoimage "${kBaseNeeds[@]}"
  kernel_get
  initramfs_base "$LAB_KERNEL"
  local config=(LAB=vmx LAB_KVM=kvm-intel LAB_MODULES= LAB_DISK=
    LAB_STDOUT=/dev/ttyS1 LAB_STDERR=/dev/ttyS2 LAB_RESULT=/dev/ttyS3)
  if ((LAB_DISK_MB > 0)); then
    lab_make_disk "$work/disk"
    config+=(LAB_MODULES="'ata_piix sd_mod'" LAB_DISK=/dev/sda)
  fi
  payload_make "$work/payload" "${config[@]}" -- "$@"
  vmx_make_iso "$work"
  vmx_write_config "$work"
  : >"$work/stdout"
  : >"$work/stderr"
  echo c >"$work/debugger"
  local alone=()
  # Bochs's display is a VNC server that listens on every address: give it a network of its own where we may.
  unshare --map-root-user --net true 2>/dev/null && alone=(unshare --map-root-user --net)
  lab_start "$work" "${alone[@]}" bochs -q -f "$work/bochsrc" -rc "$work/debugger"
}

vmx_make_iso() {  # vmx_make_iso WORK-DIR
  local work=$1 cd=$1/cd
  mkdir -p "$cd/isolinux"
  cp "$kIsolinux" "$kLdlinux" "$cd/isolinux/"
  cp "$LAB_KERNEL/boot/vmlinuz" "$cd/vmlinuz"
  cat "$LAB_BASE" "$work/payload" >"$cd/initrd"
  printf '%s\n' 'default lab' 'prompt 0' 'label lab' 'kernel /vmlinuz' \
    "append initrd=/initrd $(tr -s ' \n' ' ' <<<"$kVmxKernelArguments")" >"$cd/isolinux/isolinux.cfg"
  genisoimage -quiet -o "$work/lab.iso" -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 \
    -boot-info-table -input-charset utf-8 "$cd" 2>"$work/genisoimage" ||
    { cat "$work/genisoimage" >&2; lab_die "cannot make the boot CD"; }
  rm -rf "$cd" "$work/payload"
}

vmx_write_config() {  # vmx_write_config WORK-DIR
  local work=$1 megabytes=${LAB_MEMORY%[MG]}
  [[ $LAB_MEMORY == *G ]] && megabytes=$((megabytes * 1024))
  cat >"$work/bochsrc" <<CONFIG
display_library: rfb, options="timeout=0"
sound: driver=dummy, waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
cpu: model=corei7_haswell_4770, count=1, ips=50000000, reset_on_triple_fault=0
memory: guest=$megabytes, host=$megabytes
romimage: file=$kBochsBios
vgaromimage: file=$kBochsVgaBios
clock: sync=none
log: $work/bochs.log
panic: action=fatal
com1: enabled=1, mode=file, dev=$work/console
com2: enabled=1, mode=file, dev=$work/stdout
com3: enabled=1, mode=file, dev=$work/stderr
com4: enabled=1, mode=file, dev=$work/result
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15
ata1-master: type=cdrom, path=$work/lab.iso, status=inserted
boot: cdrom
CONFIG
  [[ ! -e $work/disk ]] || echo "ata0-master: type=disk, mode=flat, path=$work/disk" >>"$work/bochsrc"
}
