// The host service and a VM's end of it, over real sockets, with memories of this process for the VMs'.
#include "vmm/host/share_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <random>
#include <thread>

#include "tests/support/merged_memory.h"
#include "vmm/control/unix_socket.h"
#include "vmm/host/remote_membership.h"

namespace twofold {
namespace {

using ksm::testing::fill_page;
using ksm::testing::holds_page;
using ksm::testing::MergedMemory;
using namespace std::chrono_literals;

constexpr uint64_t kFrames = 1024;

// A service on a thread of its own.
class RunningService {
 public:
  explicit RunningService(const std::string& path, ShareLimits limits = {.slots = 4096})
      : path_(path), listener_(listen_unix(path, SOCK_SEQPACKET).value()), service_(limits) {
    thread_ = std::thread([this] { service_.serve(listener_.get(), stop_.get()); });
  }
  RunningService(const RunningService&) = delete;
  RunningService& operator=(const RunningService&) = delete;
  ~RunningService() {
    (void)stop();
    std::filesystem::remove(path_);
  }
  // Ends it, and tells how it stood.
  ShareStats stop() {
    if (thread_.joinable()) {
      signal_eventfd(stop_.get());
      thread_.join();
    }
    return service_.stats();
  }

 private:
  std::string path_;
  UniqueFd listener_;
  UniqueFd stop_ = make_eventfd().value();
  ShareService service_;
  std::thread thread_;
};

class ShareServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string why_not = MergedMemory::why_not();
    if (!why_not.empty()) GTEST_SKIP() << why_not;
    std::string pattern = (std::filesystem::temp_directory_path() / "twofold-host-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    service_.emplace(path());
  }
  void TearDown() override {
    service_.reset();
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }
  [[nodiscard]] std::string path() const { return directory_ + "/host"; }
  [[nodiscard]] std::unique_ptr<RemoteMembership> join(const std::string& domain) const {
    auto joined = RemoteMembership::join(path(), domain, kFrames);
    EXPECT_TRUE(joined) << joined.error().message;
    return std::move(*joined);
  }
  [[nodiscard]] UniqueFd connect() const {
    UniqueFd fd = std::move(connect_unix(path(), 1s, SOCK_SEQPACKET).fd);
    set_blocking(fd.get());
    const timeval patience = {1, 0};  // for what the service rightly gives no answer to
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
  }

  std::string directory_;
  std::optional<RunningService> service_;
};

TEST_F(ShareServiceTest, MemoriesOfADomainShareAndOthersDoNot) {
  {
    MergedMemory one(join("blue"), kFrames);
    MergedMemory two(join("blue"), kFrames);
    MergedMemory stranger(join("red"), kFrames);
    for (uint64_t i = 0; i < 700; ++i) {
      for (MergedMemory* memory : {&one, &two, &stranger}) fill_page(memory->at(i), 50 + i);
    }
    for (int i = 0; i < 4; ++i) {
      for (MergedMemory* memory : {&one, &two, &stranger}) memory->pass();
    }
    for (uint64_t i = 0; i < 700; ++i) {
      EXPECT_NE(one.held_slot(i), ksm::kNoSlot) << i;
      EXPECT_EQ(one.held_slot(i), two.held_slot(i)) << i;
      EXPECT_EQ(stranger.held_slot(i), ksm::kNoSlot) << i;
    }
    two.at(3)[0] = std::byte{9};
    EXPECT_TRUE(holds_page(one.at(3), 53));
  }
  // Each answer says that the service has heard, meanwhile, one more message of everybody who had sent some.
  const auto witness = join("green");
  std::vector<ksm::Proposal> none;
  for (int i = 0; i < 20; ++i) witness->ask(nullptr, {}, none);
  const ShareStats stats = service_->stop();
  EXPECT_FALSE(stats.domains.contains("blue")) << "a domain ends with the last that has a part in it";
  EXPECT_EQ(stats.cut_off, 0u);
}

// Runs `act` in a process of its own, which is then killed.
void in_a_process_that_is_killed(const std::function<void()>& act) {
  const pid_t child = ::fork();
  if (child == 0) {
    act();
    ::raise(SIGKILL);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST_F(ShareServiceTest, AVmThatIsKilledLeavesNothingAndHurtsNobody) {
  MergedMemory survivor(join("blue"), kFrames);
  for (uint64_t i = 0; i < 64; ++i) fill_page(survivor.at(i), 50 + i);
  survivor.pass();
  in_a_process_that_is_killed([&] {
    MergedMemory* const doomed = new MergedMemory(join("blue"), kFrames);
    for (uint64_t i = 0; i < 128; ++i) fill_page(doomed->at(i), 50 + i % 100);
    for (int i = 0; i < 3; ++i) doomed->pass();
    if (doomed->held_slot(0) == ksm::kNoSlot || doomed->held_slot(110) == ksm::kNoSlot) ::_exit(1);
  });
  for (int i = 0; i < 3; ++i) survivor.pass();
  for (uint64_t i = 0; i < 64; ++i) EXPECT_TRUE(holds_page(survivor.at(i), 50 + i));
  uint64_t held = 0;
  for (uint64_t i = 0; i < kFrames; ++i) held += survivor.held_slot(i) == ksm::kNoSlot ? 0 : 1;
  EXPECT_EQ(held, 64u);
  const ShareStats stats = service_->stop();
  EXPECT_EQ(stats.vms, 1u);
  EXPECT_EQ(stats.domains.at("blue").users, held);
  EXPECT_EQ(stats.domains.at("blue").slots_filled, held);
}

// Its connection is gone, and it runs: what it shares must stay. (Whoever connects to the service's socket from the
// same process stands for a VM that was cut off.)
TEST_F(ShareServiceTest, WhoIsCutOffKeepsWhatItShares) {
  auto membership = join("blue");
  RemoteMembership& remote = *membership;
  MergedMemory memory(std::move(membership), kFrames);
  for (uint64_t i = 0; i < 64; ++i) fill_page(memory.at(i), 1 + i % 8);
  for (int i = 0; i < 3; ++i) memory.pass();
  ASSERT_NE(memory.held_slot(0), ksm::kNoSlot);
  const ksm::Slot lie = 4000;
  remote.give_back({&lie, 1});  // breaks the protocol
  for (int i = 0; i < 100 && remote.connected(); ++i) {
    memory.pass();
    std::this_thread::sleep_for(1ms);
    std::vector<ksm::Proposal> none;
    remote.ask(memory.at(0), {}, none);
  }
  EXPECT_FALSE(remote.connected());
  for (uint64_t i = 0; i < 64; ++i) EXPECT_TRUE(holds_page(memory.at(i), 1 + i % 8)) << i;
  EXPECT_EQ(service_->stop().domains.at("blue").slots_filled, 8u);
  for (uint64_t i = 0; i < 64; ++i) EXPECT_TRUE(holds_page(memory.at(i), 1 + i % 8)) << i;
}

TEST_F(ShareServiceTest, AServiceThatVanishesIsNoticedByNoGuest) {
  auto membership = join("blue");
  const RemoteMembership& remote = *membership;
  MergedMemory memory(std::move(membership), kFrames);
  MergedMemory other(join("blue"), kFrames);
  for (uint64_t i = 0; i < 200; ++i) fill_page(memory.at(i), 1 + i % 50), fill_page(other.at(i), 1 + i % 50);
  for (int i = 0; i < 3; ++i) memory.pass(), other.pass();
  ASSERT_NE(memory.held_slot(0), ksm::kNoSlot);
  service_.reset();
  std::mt19937 random(1);
  std::vector<uint64_t> model(200);
  for (uint64_t i = 0; i < 200; ++i) model[i] = 1 + i % 50;
  for (int turn = 0; turn < 300; ++turn) {
    const uint64_t frame = random() % 200;
    fill_page(memory.at(frame), model[frame] = random() % 60);
    if (turn % 30 == 0) memory.pass(), other.pass();
  }
  EXPECT_FALSE(remote.connected());
  for (uint64_t i = 0; i < 200; ++i) EXPECT_TRUE(holds_page(memory.at(i), model[i])) << i;
  for (uint64_t i = 0; i < 200; ++i) EXPECT_TRUE(holds_page(other.at(i), 1 + i % 50)) << i;
}

TEST_F(ShareServiceTest, WhoBreaksTheProtocolIsCutOffAndLosesOnlyItsPlace) {
  MergedMemory good(join("blue"), kFrames);
  for (uint64_t i = 0; i < 8; ++i) fill_page(good.at(i), 5);
  for (int i = 0; i < 3; ++i) good.pass();
  ASSERT_NE(good.held_slot(0), ksm::kNoSlot);
  const auto hello = [](uint64_t frames, const char* domain) {
    share::Hello message;
    message.frames = frames;
    std::memcpy(message.domain, domain, std::min(std::strlen(domain), sizeof message.domain));
    return message;
  };
  const auto cut_off = [this](const void* message, size_t bytes, bool after_hello) {
    const UniqueFd fd = connect();
    char answer[4096];
    if (after_hello) {
      share::Hello first;
      first.frames = 16;
      std::strcpy(first.domain, "blue");
      EXPECT_EQ(::send(fd.get(), &first, sizeof first, 0), static_cast<ssize_t>(sizeof first));
      EXPECT_EQ(::recv(fd.get(), answer, sizeof answer, 0), static_cast<ssize_t>(sizeof(share::Welcome)));
    }
    EXPECT_EQ(::send(fd.get(), message, bytes, MSG_NOSIGNAL), static_cast<ssize_t>(bytes));
    return ::recv(fd.get(), answer, sizeof answer, 0) <= 0;
  };
  for (const auto& bad : {hello(0, "x"), hello(share::kMaxFrames + 1, "x"), hello(16, ""),
                          hello(16, std::string(share::kMaxName, 'x').c_str())}) {
    EXPECT_TRUE(cut_off(&bad, sizeof bad, false));
  }
  share::Hello other_version = hello(16, "x");
  other_version.header.version = 99;
  EXPECT_TRUE(cut_off(&other_version, sizeof other_version, false));
  EXPECT_TRUE(cut_off("nonsense", 8, false));
  const auto again = hello(16, "blue");
  EXPECT_TRUE(cut_off(&again, sizeof again, true)) << "a second hello";

  struct {
    share::Header header;
    ksm::Question question;
  } ask;
  ask.header.kind = share::Kind::kAsk;
  ask.header.count = 1;
  ask.question = {16, 7};
  EXPECT_TRUE(cut_off(&ask, sizeof ask, true)) << "a frame beyond its memory";
  ask.question = {15, 7};
  ask.header.count = 2;
  EXPECT_TRUE(cut_off(&ask, sizeof ask, true)) << "fewer questions than it says";
  ask.header.count = UINT32_MAX;
  EXPECT_TRUE(cut_off(&ask, sizeof ask, true));
  struct {
    share::Header header;
    ksm::Slot slot;
  } give;
  give.header.kind = share::Kind::kGiveBack;
  give.header.count = 1;
  for (const ksm::Slot slot : {good.held_slot(0), ksm::kNoSlot, ksm::Slot{4096}}) {
    give.slot = slot;
    EXPECT_TRUE(cut_off(&give, sizeof give, true)) << "a reference that it never had";
  }
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    std::array<uint32_t, 64> noise;
    for (uint32_t& word : noise) word = random();
    noise[0] = share::kMagic;
    noise[1] = share::kVersion | (1 + random() % 7) << 16;
    noise[2] = 1 + random() % 20;
    noise[3] = 0;
    (void)cut_off(noise.data(), 4 * (4 + random() % 60), random() % 2 == 0);
  }

  for (uint64_t i = 0; i < 8; ++i) EXPECT_TRUE(holds_page(good.at(i), 5)) << i;
  for (uint64_t i = 8; i < 16; ++i) fill_page(good.at(i), 6);
  for (int i = 0; i < 3; ++i) good.pass();
  EXPECT_NE(good.held_slot(8), ksm::kNoSlot) << "the others go on";
  EXPECT_GT(service_->stop().cut_off, 10u);
}

// However often a VM asks, the domain counts it once for each slot; and one that asks without end is refused.
TEST_F(ShareServiceTest, AskingAgainAndAgainGainsNoReferences) {
  MergedMemory good(join("blue"), kFrames);
  for (uint64_t i = 0; i < 8; ++i) fill_page(good.at(i), 5);
  for (int i = 0; i < 3; ++i) good.pass();
  const ksm::Slot slot = good.held_slot(0);
  ASSERT_NE(slot, ksm::kNoSlot);
  const auto greedy = join("blue");
  std::byte page[ksm::kPageBytes];
  fill_page(page, 5);
  const uint64_t hash = ksm::page_hash(ksm::Page(page), greedy->key());
  const std::vector<ksm::Question> questions(share::kMaxBatch, {0, hash});
  std::vector<ksm::Proposal> proposals;
  for (int i = 0; i < 20; ++i) greedy->ask(page, questions, proposals);
  EXPECT_LT(proposals.size(), 20 * share::kMaxBatch);
  EXPECT_GT(proposals.size(), 4 * kFrames);
  // All given back but the last: the others' page stays, and so does the count.
  const std::vector<ksm::Slot> slots(proposals.size(), slot);
  greedy->give_back(slots);
  proposals.clear();
  greedy->ask(page, std::span(questions).first(1), proposals);
  EXPECT_EQ(proposals.size(), 1u);
  EXPECT_TRUE(greedy->connected());
  for (uint64_t i = 0; i < 8; ++i) EXPECT_TRUE(holds_page(good.at(i), 5)) << i;
  const ShareStats stats = service_->stop();
  EXPECT_EQ(stats.domains.at("blue").slots_filled, 1u);
  EXPECT_EQ(stats.domains.at("blue").users, 2u) << "one for each VM";
}

TEST_F(ShareServiceTest, JoiningSaysWhatIsWrong) {
  const auto nobody = RemoteMembership::join(directory_ + "/nobody", "blue", kFrames);
  ASSERT_FALSE(nobody);
  EXPECT_THAT(nobody.error().message, ::testing::HasSubstr("twofold host --socket"));
  EXPECT_FALSE(RemoteMembership::join(path(), "", kFrames));
  EXPECT_FALSE(RemoteMembership::join(path(), std::string(64, 'x'), kFrames));
  EXPECT_FALSE(RemoteMembership::join(path(), "blue", share::kMaxFrames + 1));
}

}  // namespace
}  // namespace twofold
