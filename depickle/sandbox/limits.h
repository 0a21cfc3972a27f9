// The limits of a task: the one place where they are chosen.
#pragma once

#include <cstdint>

#include "depickle/sandbox/messages.h"

namespace depickle::sandbox {

/// Returns `limits` with those that are 0 derived from the size of the task's files, known before the worker starts.
/// Generous: they stop a worker that was taken over or that a file made run forever, not a slow machine.
///
/// - cpu_seconds: 5 minutes and 1 second for each MB. Writing, comparing and hashing a file take about 0.01 s for each
///   MB, inflating it takes 0.02 s; a sanitizer makes them up to 10 times slower.
/// - file_bytes: 16 GB and 32 times the input. The target is larger than the source if the source is compressed, or if
///   tied tensors are stored more than once.
ResourceLimits limits_for(ResourceLimits limits, uint64_t input_bytes) noexcept;

/// How many files of a list a task may open.
inline constexpr uint64_t kMaxOpenFiles = 4096;
/// How many bytes a task may read from remote files of `input_bytes`, repeated reads included. Each read counts as 4 kB
/// more.
uint64_t max_read_bytes(uint64_t input_bytes) noexcept;
inline constexpr uint64_t kReadCostBytes = 4096;

}  // namespace depickle::sandbox
