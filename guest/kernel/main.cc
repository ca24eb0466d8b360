// Where C++ begins: builds the kernel up, layer by layer, and ends as the boot processor's idle loop.
#include "guest/kernel/balloon.h"
#include "guest/kernel/boot_info.h"
#include "guest/kernel/cmdline.h"
#include "guest/kernel/console.h"
#include "guest/kernel/cpu.h"
#include "guest/kernel/devices.h"
#include "guest/kernel/die.h"
#include "guest/kernel/disk.h"
#include "guest/kernel/firmware_tables.h"
#include "guest/kernel/frames.h"
#include "guest/kernel/initrd.h"
#include "guest/kernel/interrupts.h"
#include "guest/kernel/ioapic.h"
#include "guest/kernel/irq.h"
#include "guest/kernel/lapic.h"
#include "guest/kernel/paging.h"
#include "guest/kernel/print.h"
#include "guest/kernel/process.h"
#include "guest/kernel/ram.h"
#include "guest/kernel/reclaim.h"
#include "guest/kernel/scheduler.h"
#include "guest/kernel/smp.h"
#include "guest/kernel/swap.h"
#include "guest/kernel/timer.h"
#include "guest/kernel/uart.h"
#include "guest/kernel/victims.h"

extern "C" twofold::kernel::KernelStack boot_stack;  // in guest/boot/entry.S

namespace twofold::kernel {
namespace {

void print_banner(const Platform& platform, uint32_t running_cpus, bool calibrated) {
  kprintf("twofold guest: %u of %u KiB of memory, %u of %u CPUs (%s), timer %u Hz (%u counts/ms%s)\n",
          ram::total_frames() * 4, static_cast<uint32_t>(boot_info.ram_bytes() >> 10), running_cpus, cpu_count,
          platform.source, timer::kTicksPerSecond, timer::counts_per_millisecond(), calibrated ? "" : ", assumed");
  if (swap::disk() == nullptr) return;
  kprintf("swap: %u KiB on %s, victims by %s\n", swap::total() * 4, swap::disk()->name(), victims::policy_name());
}

// After this, PANIC is safe.
void init_boot_processor() {
  boot_stack.canary = kStackCanary;
  boot_stack.cpu = &cpus[0];
  uart::init();
  init_cpu(cpus[0]);
  interrupts::init();
  interrupts::load();
  big_kernel_lock.acquire();
}

void open_console(const Platform& platform) {
  const auto handler = [](void*) { console::take_input(); };
  if (!irq::install(platform, uart::kIrq, handler, nullptr)) PANIC("the console's interrupt is taken");
  uart::enable_input();
}

void init_memory(PhysAddr start_info) {
  paging::init_window();
  read_start_info(start_info);
  ram::init();
  frames::init();
  reclaim::init();
}

}  // namespace

extern "C" [[noreturn]] void kernel_main(PhysAddr start_info) {
  init_boot_processor();
  init_memory(start_info);

  const Platform platform = read_firmware_tables();
  interrupts::disable_pics();
  lapic::map(platform.lapic);
  lapic::init();
  ioapic::init(platform);
  smp::find_processors(platform);
  const bool calibrated = timer::calibrate();
  open_console(platform);
  disks::init(platform);
  swap::init();
  balloon::init(platform);

  initrd::init(ram::initrd_data(), ram::initrd_size());
  add_devices();
  const uint32_t running_cpus = smp::start_processors();
  cmdline::Option quiet;
  if (!cmdline::find("quiet", &quiet)) print_banner(platform, running_cpus, calibrated);
  die_if_told();
  create_first_process();
  reclaim::start();
  balloon::start();
  timer::start();
  idle_loop();
}

}  // namespace twofold::kernel
