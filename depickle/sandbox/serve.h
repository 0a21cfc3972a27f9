// The worker's side: a process that does one piece of work on what it is handed, and nothing else.
#pragma once

#include <functional>
#include <string_view>

namespace depickle::sandbox {

/// Where the channels are when a worker starts: the first for its orders, progress and result, the others for what it asks for.
inline constexpr int kFirstChannel = 3;

/// The whole life of a worker process with `channels` channels; single-threaded at the start. Takes the order, confines the process, does the
/// work, sends the result. `before_work` is called in between, confined already, with the first bytes of the first file. Returns the exit code.
int serve(int channels, const std::function<void(std::string_view first_bytes)>& before_work = {});

}  // namespace depickle::sandbox
