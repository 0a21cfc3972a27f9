// The process of a worker, as its parent sees it.
#pragma once

#include <vector>

#include "depickle/base/error.h"
#include "depickle/os/file_descriptor.h"
#include "depickle/os/process.h"
#include "depickle/sandbox/channel.h"
#include "depickle/sandbox/sandbox.h"

namespace depickle::sandbox {

/// A running worker with its channels. It inherits no file of the parent: its standard input and output are /dev/null,
/// its standard error is a pipe that is read only after its death. The destructor kills it.
class WorkerProcess {
 public:
  /// Starts the program. Throws Error{io}.
  explicit WorkerProcess(const SandboxOptions& options);

  const Channel& tasks() const noexcept { return tasks_.front(); }
  /// Gives up the channels for requests.
  std::vector<Channel> take_request_channels() { return std::move(requests_); }
  /// Kills the worker. When this returns, it cannot write to the target any more.
  void kill() noexcept;
  /// Returns the error for a worker that closed its channel without a result. Waits until it has ended, and kills it if
  /// it does not end by itself.
  Error death(const ResourceLimits& limits);

 private:
  struct Connections {
    std::vector<Channel> ours, theirs;
    os::FileDescriptor output, their_output;
  };
  WorkerProcess(const SandboxOptions& options, Connections connections);
  static Connections connect(int channels);
  std::string output() const;

  std::vector<Channel> tasks_, requests_;
  os::FileDescriptor output_;
  os::Process process_;
};

}  // namespace depickle::sandbox
