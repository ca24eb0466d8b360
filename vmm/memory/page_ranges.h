// Lists of page frame numbers as runs: the step between what a guest's balloon says and what a system call takes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ksm/frames.h"

namespace twofold {

// Adjacent frames of guest RAM, by their place in its mapping: `first` × 4096 bytes is the offset of the first.
using FrameRun = ksm::Run;

// Sorts `frames` in place and appends them to `runs` as runs in ascending order, each frame once, no two runs adjacent.
// Pure. Allocates only where `runs` grows.
void append_runs(std::span<uint64_t> frames, std::vector<FrameRun>& runs);

// Sorts `runs` and joins those that touch or overlap, in place. Empty runs go. REQUIRES: no run's end overflows
void merge_runs(std::vector<FrameRun>& runs);

}  // namespace twofold
