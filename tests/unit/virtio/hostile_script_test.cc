// The fuzzer's scripts without the fuzzer: its corpus, where past crashes live, and some thousand random ones.
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "tests/support/balloon_script.h"
#include "tests/support/virtio_script.h"

namespace twofold {
namespace {

class HostileScript : public ::testing::Test {
 protected:
  // Thousands of driver's errors are no news here.
  void SetUp() override { spdlog::set_level(spdlog::level::off); }
  void TearDown() override { spdlog::set_level(spdlog::level::info); }
};

TEST_F(HostileScript, Corpus) {
  int played = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FUZZ_CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::vector<uint8_t> script(std::istreambuf_iterator<char>(file), {});
    const char* wrong = testing::run_virtio_script(script);
    EXPECT_EQ(wrong, nullptr) << entry.path() << ": " << wrong;
    ++played;
  }
  EXPECT_GT(played, 0);
}

void play_random_scripts(const char* (*play)(std::span<const uint8_t>)) {
  for (uint32_t seed = 0; seed < 1000; ++seed) {
    std::mt19937 random(seed);
    std::vector<uint8_t> script(1 + random() % 1000);
    for (uint8_t& byte : script) byte = static_cast<uint8_t>(random());
    const char* wrong = play(script);
    ASSERT_EQ(wrong, nullptr) << "seed " << seed << ": " << wrong;
  }
}

TEST_F(HostileScript, RandomToADisk) {
  play_random_scripts(testing::run_virtio_script);
}

TEST_F(HostileScript, RandomToABalloon) {
  play_random_scripts(testing::run_balloon_script);
}

}  // namespace
}  // namespace twofold
