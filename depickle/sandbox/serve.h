// The sandboxed side: a process that runs one task on the files that it receives.
#pragma once

#include <functional>
#include <string_view>

namespace depickle::sandbox {

/// The descriptor of a worker's first channel, for its task, progress and result. The next descriptors are the channels
/// for file requests.
inline constexpr int kFirstChannel = 3;

/// Runs a worker process with `channels` channels; call it while the process is single-threaded. Receives the task,
/// confines the process, runs the task, sends the result. Returns the exit code. `before_task` is for tests: it is
/// called in the confined process with the first bytes of the first file.
int serve(int channels, const std::function<void(std::string_view first_bytes)>& before_task = {});

}  // namespace depickle::sandbox
