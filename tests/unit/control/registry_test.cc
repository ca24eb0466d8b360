#include "vmm/control/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/unit/control/fakes.h"
#include "vmm/control/unix_socket.h"

namespace twofold {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

mode_t mode_of(const std::string& path) {
  struct stat about = {};
  return ::stat(path.c_str(), &about) == 0 ? about.st_mode & 07777 : 0;
}

// A socket that nobody listens on any more, as a killed process leaves it.
void leave_stale_socket(const std::string& path) {
  const auto listener = listen_unix(path);
  ASSERT_TRUE(listener) << listener.error().message;
}

class RegistryTest : public ::testing::Test {
 protected:
  testing::TempDir home_;
  std::string directory_ = home_ / "twofold";
  Registry registry_ = Registry::open_at(directory_).value();
};

TEST_F(RegistryTest, DirectoryAndSocketAreTheUsersAlone) {
  const mode_t before = ::umask(0);
  const auto vm = registry_.claim("a");
  ::umask(before);
  ASSERT_TRUE(vm) << vm.error().message;
  EXPECT_EQ(mode_of(directory_), 0700U);
  EXPECT_EQ(mode_of(vm->socket_path()), 0600U);
  EXPECT_EQ(vm->socket_path(), directory_ + "/a.sock");
}

TEST_F(RegistryTest, DirectoriesOpenToOthersAreRefused) {
  ASSERT_EQ(::chmod(directory_.c_str(), 0750), 0);
  const auto registry = Registry::open_at(directory_);
  ASSERT_FALSE(registry);
  EXPECT_THAT(registry.error().message, HasSubstr("750"));
}

TEST_F(RegistryTest, LinksAndFilesInTheDirectorysPlaceAreRefused) {
  ASSERT_EQ(::symlink(directory_.c_str(), (home_ / "link").c_str()), 0);
  EXPECT_FALSE(Registry::open_at(home_ / "link"));
  std::ofstream(home_ / "file") << "x";
  EXPECT_FALSE(Registry::open_at(home_ / "file"));
  EXPECT_FALSE(Registry::open_at(home_ / "no/such"));
}

TEST_F(RegistryTest, SomeoneElsesDirectoryIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "giving a directory away takes root";
  ASSERT_EQ(::chown(directory_.c_str(), 12345, 12345), 0);
  const auto registry = Registry::open_at(directory_);
  ASSERT_FALSE(registry);
  EXPECT_THAT(registry.error().message, HasSubstr("belongs to user 12345"));
}

TEST_F(RegistryTest, ANameIsTakenOnlyOnce) {
  const auto first = registry_.claim("a");
  ASSERT_TRUE(first);
  const auto second = registry_.claim("a");
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("a VM of that name runs already (pid " + std::to_string(::getpid())));
  EXPECT_TRUE(registry_.claim("b"));
}

TEST_F(RegistryTest, TheSocketGoesWithTheRegistration) {
  const std::string path = registry_.claim("a")->socket_path();
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
  EXPECT_TRUE(registry_.claim("a"));
}

TEST_F(RegistryTest, MovingARegistrationKeepsTheSocket) {
  auto first = registry_.claim("a");
  ASSERT_TRUE(first);
  const Registration second(std::move(*first));
  first = fail("gone");
  EXPECT_EQ(::access(second.socket_path().c_str(), F_OK), 0);
}

TEST_F(RegistryTest, StaleSocketsAreReplaced) {
  leave_stale_socket(directory_ + "/a.sock");
  const auto vm = registry_.claim("a");
  ASSERT_TRUE(vm) << vm.error().message;
  EXPECT_THAT(registry_.list().value(), SizeIs(1));
}

TEST_F(RegistryTest, ListShowsTheLivingAndCleansUpTheDead) {
  leave_stale_socket(directory_ + "/dead.sock");
  std::ofstream(directory_ + "/notes.txt") << "not ours";
  const auto b = registry_.claim("b");
  const auto a = registry_.claim("a");
  const auto vms = registry_.list();
  ASSERT_TRUE(vms);
  ASSERT_THAT(*vms, SizeIs(2));
  EXPECT_EQ((*vms)[0].name, "a");
  EXPECT_EQ((*vms)[1].name, "b");
  EXPECT_EQ((*vms)[0].pid, ::getpid());
  EXPECT_NE(::access((directory_ + "/dead.sock").c_str(), F_OK), 0);
  EXPECT_EQ(::access((directory_ + "/notes.txt").c_str(), F_OK), 0);
}

TEST_F(RegistryTest, FilesThatAreNoSocketsAreNotRemoved) {
  // connect(2) says ECONNREFUSED of them too.
  std::ofstream(directory_ + "/file.sock") << "precious";
  EXPECT_THAT(registry_.list().value(), IsEmpty());
  EXPECT_FALSE(registry_.claim("file"));
  EXPECT_EQ(::access((directory_ + "/file.sock").c_str(), F_OK), 0);
}

TEST_F(RegistryTest, AKilledProcessLeavesNoVm) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto vm = registry_.claim("victim");
    [[maybe_unused]] const ssize_t n = ::write(ready[1], vm ? "y" : "n", 1);
    for (;;) ::pause();
  }
  char claimed = 0;
  ASSERT_EQ(::read(ready[0], &claimed, 1), 1);
  ASSERT_EQ(claimed, 'y');
  const auto before = registry_.list();
  ASSERT_THAT(before.value(), SizeIs(1));
  EXPECT_EQ(before->front().pid, child);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_THAT(registry_.list().value(), IsEmpty());
  EXPECT_NE(::access((directory_ + "/victim.sock").c_str(), F_OK), 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(RegistryTest, AFullBacklogIsASignOfLife) {
  const auto vm = registry_.claim("busy");
  ASSERT_TRUE(vm);
  std::vector<UnixConnection> waiting;
  for (int i = 0; i < 100; ++i) {
    waiting.push_back(connect_unix(vm->socket_path(), std::chrono::milliseconds(1)));
    if (waiting.back().error != 0) break;
  }
  ASSERT_EQ(waiting.back().error, EAGAIN);
  EXPECT_THAT(registry_.list().value(), SizeIs(1));
  EXPECT_FALSE(registry_.claim("busy"));
}

// Threads race for one name, over a stale socket each time: exactly one may win, and its socket must work.
TEST_F(RegistryTest, OneWinsARace) {
  for (int round = 0; round < 50; ++round) {
    leave_stale_socket(directory_ + "/prize.sock");
    std::atomic<int> winners{0};
    std::atomic<int> done{0};
    const auto compete = [&] {
      const auto mine = registry_.claim("prize");
      winners += mine ? 1 : 0;
      ++done;
      while (done < 3) std::this_thread::yield();
    };
    std::thread others[] = {std::thread(compete), std::thread(compete)};
    ++done;  // this thread only looks
    EXPECT_TRUE(registry_.list());
    for (auto& other : others) other.join();
    ASSERT_EQ(winners, 1);
  }
}

TEST_F(RegistryTest, FindNamesThoseThatRun) {
  EXPECT_THAT(registry_.find("").error().message, HasSubstr("no VM runs"));
  const auto a = registry_.claim("a");
  EXPECT_EQ(registry_.find("").value().name, "a");
  const auto b = registry_.claim("b");
  EXPECT_EQ(registry_.find("b").value().name, "b");
  EXPECT_EQ(registry_.find("x").error().message, "no VM named 'x' runs; running: a, b");
  EXPECT_EQ(registry_.find("").error().message, "which VM? running: a, b");
}

TEST_F(RegistryTest, PathsTooLongForASocketAreRefused) {
  const auto deep = Registry::open_at(home_ / std::string(80, 'd'));
  ASSERT_TRUE(deep);
  const auto vm = deep->claim(std::string(64, 'n'));
  ASSERT_FALSE(vm);
  EXPECT_THAT(vm.error().message, HasSubstr("bytes long and the kernel takes 107"));
}

TEST(VmName, IsPlain) {
  for (const char* good : {"a", "vm-123", "A.b_c-9", "0"}) EXPECT_TRUE(check_vm_name(good)) << good;
  EXPECT_TRUE(check_vm_name(std::string(64, 'x')));
  EXPECT_FALSE(check_vm_name(std::string(65, 'x')));
  for (const char* bad : {"", ".", "..", ".hidden", "-rf", "a/b", "../a", "a b", "a\n", "é", "a\x1b[m"}) {
    EXPECT_FALSE(check_vm_name(bad)) << bad;
  }
  EXPECT_FALSE(check_vm_name(std::string_view("a\0b", 3)));
  EXPECT_EQ(default_vm_name(123), "vm-123");
  EXPECT_TRUE(check_vm_name(default_vm_name(4194304)));
}

}  // namespace
}  // namespace twofold
