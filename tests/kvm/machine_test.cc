// A whole machine from the inside: what the command line cannot see.
#include "vmm/machine/machine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "vmm/base/size.h"

namespace twofold {
namespace {

constexpr Gpa kCounter{0x200000};  // where tests/kernels/spin.S counts

std::string kernel(const char* name) {
  return std::string(TWOFOLD_BUILD_DIR) + "/kernels/" + name + ".elf";
}

// A machine that runs on a thread of its own until the test ends it.
class RunningMachine {
 public:
  explicit RunningMachine(const char* name, uint32_t cpus = 1) : kvm_(Kvm::open().value()) {
    MachineConfig config;
    config.kernel = kernel(name);
    config.memory_bytes = 16 * MiB;
    config.cpus = cpus;
    config.console.kind = ConsoleTarget::Kind::kNone;
    machine_ = Machine::create(kvm_, config).value();
    thread_ = std::thread([this] { reason_ = machine_->run().value(); });
  }
  ~RunningMachine() { end(); }
  StopReason end() {
    machine_->stop({StopKind::kRequested, 0, "end of test"});
    if (thread_.joinable()) thread_.join();
    return reason_;
  }
  Machine& operator*() { return *machine_; }
  Machine* operator->() { return machine_.get(); }

  [[nodiscard]] uint32_t counter() const {
    const auto bytes = machine_->memory().at(kCounter, sizeof(uint32_t));
    return __atomic_load_n(reinterpret_cast<const uint32_t*>(bytes.data()), __ATOMIC_RELAXED);
  }
  void wait_for_progress() const {
    const uint32_t before = counter();
    while (counter() == before) std::this_thread::yield();
  }

 private:
  Kvm kvm_;
  std::unique_ptr<Machine> machine_;
  std::thread thread_;
  StopReason reason_;
};

TEST(Machine, PausedMeansNoInstructionRuns) {
  RunningMachine machine("spin");
  machine.wait_for_progress();
  for (int round = 0; round < 100; ++round) {
    ASSERT_TRUE(machine->pause());
    EXPECT_EQ(machine->state(), MachineState::kPaused);
    const uint32_t before = machine.counter();
    ::usleep(500);
    EXPECT_EQ(machine.counter(), before) << "round " << round;
    ASSERT_TRUE(machine->resume());
    machine.wait_for_progress();
  }
}

TEST(Machine, InspectionLeavesAPausePausedAndARunRunning) {
  RunningMachine machine("spin");
  machine.wait_for_progress();
  const auto look = [&] {
    uint64_t rip = 0;
    EXPECT_TRUE(machine->with_stopped_vcpu(0, [&](const Vcpu& vcpu) { rip = vcpu.regs().value().rip; }));
    return rip;
  };
  EXPECT_GE(look(), 0x100000U);
  EXPECT_EQ(machine->state(), MachineState::kRunning);
  machine.wait_for_progress();
  ASSERT_TRUE(machine->pause());
  EXPECT_GE(look(), 0x100000U);
  const uint32_t before = machine.counter();
  ::usleep(2000);
  EXPECT_EQ(machine.counter(), before);
  EXPECT_FALSE(machine->with_stopped_vcpu(1, [](const Vcpu&) { FAIL() << "there is no vCPU 1"; }));
}

TEST(Machine, StopsAtAnyMomentWithAnyNumberOfCpus) {
  std::mt19937 random(3);
  for (int round = 0; round < 30; ++round) {
    RunningMachine machine("spin", 1 + round % 4);
    ::usleep(random() % 3000);
    EXPECT_EQ(machine.end().kind, StopKind::kRequested) << "round " << round;
  }
}

TEST(Machine, TheFirstReasonToStopCounts) {
  RunningMachine machine("first");
  while (machine->state() != MachineState::kStopped) std::this_thread::yield();
  const auto reason = machine.end();
  EXPECT_EQ(reason.kind, StopKind::kVerdict);
  EXPECT_EQ(reason.verdict, 0x10U);
}

TEST(Machine, PauseStopAndInspectFromManyThreadsAtOnce) {
  RunningMachine machine("spin", 2);
  machine.wait_for_progress();
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        machine->pause();
        machine->with_stopped_vcpu(1, [](const Vcpu& vcpu) { EXPECT_TRUE(vcpu.sregs()); });
        machine->resume();
      }
    });
  }
  ::usleep(20000);
  machine->stop({StopKind::kRequested, 0, "midway"});
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(machine.end().detail, "midway");
  EXPECT_FALSE(machine->pause()) << "a stopped machine cannot be paused";
}

TEST(Machine, RefusesWhatKvmCannotGive) {
  const Kvm kvm = Kvm::open().value();
  MachineConfig config;
  config.kernel = kernel("first");
  config.memory_bytes = 16 * MiB;
  for (const uint32_t cpus : {0U, 9U, 1000U}) {
    config.cpus = cpus;
    const auto refused = Machine::create(kvm, config);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("cpus"), std::string::npos);
  }
  config.cpus = 1;
  config.memory_bytes = 0;
  EXPECT_FALSE(Machine::create(kvm, config));
}

}  // namespace
}  // namespace twofold
