#include "ksm/index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace ksm {
namespace {

TEST(Index, FindsSlotsByTheirHash) {
  Index index;
  EXPECT_EQ(index.find_stable(7), std::nullopt);
  EXPECT_TRUE(index.add_stable(7, 3));
  EXPECT_FALSE(index.add_stable(7, 4)) << "one slot a hash";
  EXPECT_EQ(index.find_stable(7), 3u);
  index.remove_stable(4);
  index.remove_stable(3);
  index.remove_stable(3);
  EXPECT_EQ(index.find_stable(7), std::nullopt);
  EXPECT_TRUE(index.add_stable(9, 3)) << "a slot can be filled anew";
  EXPECT_EQ(index.find_stable(9), 3u);
}

TEST(Index, AFrameIsACandidateOnce) {
  Index index;
  index.set_candidate(7, {1, 100});
  index.set_candidate(8, {1, 100});
  EXPECT_EQ(index.find_candidate(7), std::nullopt);
  EXPECT_EQ(index.find_candidate(8), (Sighting{1, 100}));
  index.set_candidate(8, {2, 5});
  EXPECT_EQ(index.find_candidate(8), (Sighting{2, 5})) << "the younger one";
  EXPECT_EQ(index.candidates(), 1u);
  index.remove_candidate({1, 100});
  EXPECT_EQ(index.find_candidate(8), (Sighting{2, 5}));
  index.forget(2);
  EXPECT_EQ(index.find_candidate(8), std::nullopt);
  index.forget(99);
  EXPECT_EQ(index.candidates(), 0u);
}

// Against the two maps that it stands for, with hashes so few that they collide all the time, and as one tree and many.
class AgainstMaps : public ::testing::TestWithParam<unsigned> {};

TEST_P(AgainstMaps, AnyOrderOfThings) {
  Index index(GetParam());
  std::map<uint64_t, Slot> stable;
  std::map<uint64_t, Sighting> candidates;
  std::mt19937_64 random(GetParam() + 1);
  const auto erase = [](auto& map, const auto& value) {
    std::erase_if(map, [&](const auto& entry) { return entry.second == value; });
  };
  for (int i = 0; i < 50'000; ++i) {
    const uint64_t hash = (random() % 200) * 0x0123'4567'89ab'cdef;
    const Slot slot = random() % 150;
    const Sighting sighting{static_cast<MemberId>(random() % 3), random() % 1200};
    switch (random() % 6) {
      case 0: {
        erase(stable, slot);
        index.remove_stable(slot);
        EXPECT_EQ(index.add_stable(hash, slot), stable.emplace(hash, slot).second);
        break;
      }
      case 1:
        erase(stable, slot);
        index.remove_stable(slot);
        break;
      case 2:
      case 3:
        erase(candidates, sighting);
        candidates[hash] = sighting;
        index.set_candidate(hash, sighting);
        break;
      case 4:
        erase(candidates, sighting);
        index.remove_candidate(sighting);
        break;
      default:
        if (random() % 500 == 0) {
          std::erase_if(candidates, [&](const auto& entry) { return entry.second.member == sighting.member; });
          index.forget(sighting.member);
        }
    }
    const auto slot_there = stable.find(hash);
    EXPECT_EQ(index.find_stable(hash), slot_there == stable.end() ? std::nullopt : std::optional(slot_there->second));
    const auto there = candidates.find(hash);
    EXPECT_EQ(index.find_candidate(hash), there == candidates.end() ? std::nullopt : std::optional(there->second));
    EXPECT_EQ(index.candidates(), candidates.size());
  }
}

INSTANTIATE_TEST_SUITE_P(Trees, AgainstMaps, ::testing::Values(0u, 1u, 12u));

}  // namespace
}  // namespace ksm
