#include "vmm/control/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "tests/unit/control/fakes.h"
#include "vmm/control/client.h"
#include "vmm/control/http.h"
#include "vmm/control/unix_socket.h"

namespace twofold {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class ServerTest : public ::testing::Test {
 protected:
  void start(ServerLimits limits = {}) {
    auto registration = registry_.claim("fake");
    ASSERT_TRUE(registration) << registration.error().message;
    std::vector<Registration> registrations;
    registrations.push_back(std::move(*registration));
    auto second = Registry::claim_at("fake", second_path());
    ASSERT_TRUE(second) << second.error().message;
    registrations.push_back(std::move(*second));
    auto server = ControlServer::start(std::move(registrations), vm_, limits);
    ASSERT_TRUE(server) << server.error().message;
    server_ = std::move(*server);
  }

  [[nodiscard]] VmClient client(std::chrono::milliseconds patience = 10s) const {
    return VmClient({"fake", server_->socket_path(), ::getpid()}, patience);
  }

  // Outside the registry's directory.
  [[nodiscard]] std::string second_path() const { return elsewhere_.path() + "/api"; }

  [[nodiscard]] UniqueFd connect() const { return connect_unix(server_->socket_path(), 1s).fd; }

  // Everything the server says until it closes; at most 5 s between two pieces.
  static std::string read_all(int fd) {
    std::string text;
    char buffer[4096];
    for (;;) {
      pollfd polled = {fd, POLLIN, 0};
      if (::poll(&polled, 1, 5000) <= 0) return text + " (TIMEOUT)";
      const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
      if (n <= 0) return text;
      text.append(buffer, static_cast<size_t>(n));
    }
  }

  static bool send_all(int fd, std::string_view text) {
    while (!text.empty()) {
      pollfd polled = {fd, POLLOUT, 0};
      if (::poll(&polled, 1, 5000) <= 0) return false;
      const ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      if (n < 0) return false;
      text.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  std::string exchange(std::string_view wire) const {
    const UniqueFd fd = connect();
    EXPECT_TRUE(send_all(fd.get(), wire));
    return read_all(fd.get());
  }

  testing::TempDir home_;
  testing::TempDir elsewhere_;
  Registry registry_ = Registry::open_at(home_.path()).value();
  testing::FakeVm vm_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ServerTest, ServesASecondSocketWhereItIsWanted) {
  start();
  const auto info = VmClient({"fake", second_path(), ::getpid()}).info();
  ASSERT_TRUE(info) << info.error().message;
  struct stat about = {};
  ASSERT_EQ(::stat(second_path().c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  EXPECT_FALSE(Registry::claim_at("other", second_path())) << "somebody listens there";
  server_.reset();
  EXPECT_NE(::stat(second_path().c_str(), &about), 0) << "it goes with the server";
}

TEST_F(ServerTest, NoSocketIsMadeWhereThereIsSomethingElse) {
  std::ofstream(second_path()) << "precious";
  EXPECT_FALSE(Registry::claim_at("fake", second_path()));
  std::string word;
  std::ifstream(second_path()) >> word;
  EXPECT_EQ(word, "precious");
  EXPECT_FALSE(Registry::claim_at("fake", elsewhere_.path() + "/no/such/directory"));
}

TEST_F(ServerTest, ServesEveryRoute) {
  start();
  EXPECT_EQ(client().info().value()["name"], "fake");
  EXPECT_EQ(client().set_state("paused").value()["state"], "paused");
  EXPECT_EQ(client().set_state("running").value()["state"], "running");
  WalkRequest walk;
  walk.gva = Gva{0x5123};
  walk.process = "a b&pid=9";
  walk.vcpu = 1;
  EXPECT_EQ(client().walk(walk).value()["gva"], 0x5123);
  EXPECT_EQ(vm_.walked().process, "a b&pid=9");
  EXPECT_EQ(vm_.walked().vcpu, 1U);
  EXPECT_EQ(client().processes().value()[0]["name"], "init");
  EXPECT_TRUE(client().set_state("stopped"));
  EXPECT_THAT(vm_.changes(), ElementsAre("pause", "resume", "stop"));
}

TEST_F(ServerTest, ClientPassesTheVmsOwnWordsOn) {
  vm_.refusal = "no process 'x'";
  start();
  EXPECT_EQ(client().walk({}).error().message, "no process 'x'");
  EXPECT_THAT(client().set_state("asleep").error().message, HasSubstr("no state 'asleep'"));
}

TEST_F(ServerTest, RefusesWhatIsNoHttp) {
  start();
  EXPECT_THAT(exchange("hello\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(exchange("GET /vm HTTP/1.1\r\nX: " + std::string(10000, 'x') + "\r\n\r\n"), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(exchange("DELETE /vm HTTP/1.1\r\n\r\n"), HasSubstr("Allow: GET\r\n"));
  EXPECT_THAT(vm_.calls(), IsEmpty());
}

// The reply must reach a client that is still sending when it is refused.
TEST_F(ServerTest, HugeBodiesGetTheirAnswer) {
  start();
  const std::string body(512 * 1024, 'x');
  EXPECT_THAT(exchange(http::to_wire("PUT", "/vm/state", body)), StartsWith("HTTP/1.1 413 "));
  EXPECT_EQ(client().info().value()["state"], "running");
  EXPECT_THAT(vm_.changes(), IsEmpty());
}

TEST_F(ServerTest, EndlessBodiesAreCutOff) {
  start();
  const UniqueFd fd = connect();
  const std::string piece(64 * 1024, 'x');
  EXPECT_TRUE(send_all(fd.get(), "PUT /vm/state HTTP/1.1\r\nContent-Length: 1099511627776\r\n\r\n"));
  int sent = 0;
  while (sent < 1000 && send_all(fd.get(), piece)) ++sent;
  EXPECT_LT(sent, 100);
  EXPECT_TRUE(client().info());
}

TEST_F(ServerTest, SlowClientsAreToldAndDoNotHoldUpOthers) {
  start({8, 300ms, 300ms});
  const UniqueFd slow = connect();
  ASSERT_TRUE(send_all(slow.get(), "GET /vm HT"));
  EXPECT_TRUE(client(200ms).info());
  EXPECT_THAT(read_all(slow.get()), StartsWith("HTTP/1.1 408 "));
}

// A byte now and then does not buy more time.
TEST_F(ServerTest, DrippingClientsHaveTheSameDeadline) {
  start({8, 300ms, 300ms});
  const auto begin = Clock::now();
  const UniqueFd drip = connect();
  for (int i = 0; i < 100 && send_all(drip.get(), "G"); ++i) std::this_thread::sleep_for(20ms);
  EXPECT_LT(Clock::now() - begin, 1800ms);
  EXPECT_THAT(vm_.calls(), IsEmpty());
}

TEST_F(ServerTest, ClientsThatNeverReadAreDropped) {
  start({1, 300ms, 300ms});
  const UniqueFd deaf = connect();
  ASSERT_TRUE(send_all(deaf.get(), "GET /vm HTTP/1.1\r\n\r\n"));
  std::this_thread::sleep_for(100ms);
  // It holds the only place, for no longer than its deadline.
  EXPECT_TRUE(client(3s).info());
}

TEST_F(ServerTest, SilentClientsFillingEveryPlaceAreOutlived) {
  start({4, 300ms, 300ms});
  std::vector<UniqueFd> silent;
  silent.reserve(10);
  for (int i = 0; i < 10; ++i) silent.push_back(connect());
  EXPECT_TRUE(client(5s).info());
}

TEST_F(ServerTest, ManyClientsAtOnce) {
  start();
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const auto answer = t % 2 == 0 ? client().info() : client().set_state(i % 2 == 0 ? "paused" : "running");
        good += answer ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 400);
  EXPECT_EQ(vm_.changes().size(), 200U);
}

TEST_F(ServerTest, ClientsThatLeaveEarlyDoNoHarm) {
  vm_.slowness = 20ms;
  start();
  for (int i = 0; i < 20; ++i) {
    const UniqueFd fd = connect();
    send_all(fd.get(), http::to_wire("PUT", "/vm/state", R"({"state": "paused"})"));
  }
  EXPECT_TRUE(client().info());
}

TEST_F(ServerTest, NoDescriptorsAreLost) {
  start();
  const auto open_fds = [] {
    namespace fs = std::filesystem;
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  ASSERT_TRUE(client().info());
  const auto before = open_fds();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(client().info());
    exchange("nonsense\r\n\r\n");
  }
  std::this_thread::sleep_for(100ms);
  EXPECT_LE(open_fds(), before + 1);
}

// With no descriptor left, accepting must neither spin nor give up.
TEST_F(ServerTest, OutlivesAProcessWithoutDescriptors) {
  start();
  const UniqueFd waiting(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none = {3, before.rlim_max};  // 0 to 2 are taken; poll(2) wants no less than it polls
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  sockaddr_storage address = {};
  socklen_t length = sizeof address;
  // The listener's own address, to connect without a new descriptor.
  const int listener = [&] {
    for (int fd = 0; fd < 64; ++fd) {
      int listening = 0;
      socklen_t size = sizeof listening;
      if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0) return fd;
    }
    return -1;
  }();
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
  ASSERT_EQ(::connect(waiting.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
  rusage cpu_before = {};
  ::getrusage(RUSAGE_SELF, &cpu_before);
  std::this_thread::sleep_for(300ms);
  rusage cpu_after = {};
  ::getrusage(RUSAGE_SELF, &cpu_after);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  const auto used = [](const rusage& usage) {
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000 + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
  };
  EXPECT_LT(used(cpu_after) - used(cpu_before), 150'000);
  EXPECT_TRUE(send_all(waiting.get(), "GET /vm HTTP/1.1\r\n\r\n"));
  EXPECT_THAT(read_all(waiting.get()), StartsWith("HTTP/1.1 200 "));
}

TEST_F(ServerTest, EndsAtOnceWithClientsConnectedAndFreesTheName) {
  start();
  const UniqueFd idle = connect();
  const auto begin = Clock::now();
  const std::string path = server_->socket_path();
  server_.reset();
  EXPECT_LT(Clock::now() - begin, 1s);
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
  EXPECT_TRUE(registry_.claim("fake"));
}

TEST_F(ServerTest, StopIsAnsweredEvenIfTheServerEndsWithIt) {
  for (int round = 0; round < 20; ++round) {
    start();
    const UniqueFd fd = connect();
    ASSERT_TRUE(send_all(fd.get(), http::to_wire("PUT", "/vm/state", R"({"state": "stopped"})")));
    while (vm_.changes().size() <= static_cast<size_t>(round)) std::this_thread::yield();
    server_.reset();
    EXPECT_THAT(read_all(fd.get()), StartsWith("HTTP/1.1 202 "));
  }
}

TEST_F(ServerTest, ClientSaysSoWhenNobodyAnswers) {
  const auto registration = registry_.claim("mute");  // bound, listened on, never served
  ASSERT_TRUE(registration);
  const auto begin = Clock::now();
  const auto answer = VmClient({"mute", registration->socket_path(), 77}, 200ms).info();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message, "VM 'mute' (pid 77) does not answer; is it suspended?");
  EXPECT_LT(Clock::now() - begin, 2s);
}

TEST_F(ServerTest, ClientSaysSoWhenTheVmIsGone) {
  EXPECT_THAT(VmClient({"x", home_ / "x.sock", 1}).info().error().message, StartsWith("VM 'x' is gone: "));
}

// What answers on a socket need not be Twofold.
TEST_F(ServerTest, ClientDoubtsWhatItIsTold) {
  for (const char* reply : {"", "junk", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
                            "HTTP/1.1 200 OK\r\n\r\nno json", "HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\n[]"}) {
    const auto registration = registry_.claim("odd");
    ASSERT_TRUE(registration);
    std::thread impostor([&] {
      pollfd polled = {registration->listener(), POLLIN, 0};
      ::poll(&polled, 1, 5000);
      const UniqueFd peer(::accept(registration->listener(), nullptr, nullptr));
      char buffer[512];
      ::recv(peer.get(), buffer, sizeof buffer, 0);
      send_all(peer.get(), reply);
    });
    const auto answer = VmClient({"odd", registration->socket_path(), 1}, 2s).info();
    EXPECT_FALSE(answer) << reply;
    impostor.join();
  }
}

}  // namespace
}  // namespace twofold
