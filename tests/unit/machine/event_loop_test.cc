#include "vmm/machine/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <cstdio>
#include <thread>

namespace twofold {
namespace {

TEST(EventLoop, CallsBackAndStops) {
  auto loop = EventLoop::create();
  ASSERT_TRUE(loop);
  auto event = make_eventfd();
  ASSERT_TRUE(event);
  int calls = 0;
  ASSERT_TRUE(loop->add(event->get(), EPOLLIN, [&](uint32_t events) {
    EXPECT_TRUE(events & EPOLLIN);
    EXPECT_TRUE(drain_eventfd(event->get()));
    if (++calls == 3) {
      loop->stop();
    } else {
      signal_eventfd(event->get());
    }
  }));
  signal_eventfd(event->get());
  loop->run();
  EXPECT_EQ(calls, 3);
}

TEST(EventLoop, ACallbackMayRemoveItself) {
  auto loop = EventLoop::create();
  ASSERT_TRUE(loop);
  auto event = make_eventfd();
  ASSERT_TRUE(event);
  int calls = 0;
  ASSERT_TRUE(loop->add(event->get(), EPOLLIN, [&](uint32_t) {
    ++calls;
    loop->remove(event->get());  // still signalled: without the removal this would be called for ever
    loop->stop();
  }));
  signal_eventfd(event->get());
  loop->run();
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, StopFromAnotherThreadIsSticky) {
  auto loop = EventLoop::create();
  ASSERT_TRUE(loop);
  std::thread stopper([&] { loop->stop(); });
  stopper.join();
  loop->run();
}

TEST(EventLoop, RegularFilesAreRefusedByName) {
  auto loop = EventLoop::create();
  ASSERT_TRUE(loop);
  FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  const auto done = loop->add(fileno(file), EPOLLIN, [](uint32_t) {});
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("Operation not permitted"), std::string::npos) << done.error().message;
  std::fclose(file);
}

}  // namespace
}  // namespace twofold
