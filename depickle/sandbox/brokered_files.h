// The files of a sandboxed process, which receives them from its parent.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "depickle/base/source.h"
#include "depickle/os/file_descriptor.h"
#include "depickle/os/output_file.h"
#include "depickle/sandbox/channel.h"
#include "depickle/sandbox/messages.h"

namespace depickle::sandbox {

/// Sends requests to the parent's FileBroker over any free channel. Thread-safe.
class BrokeredFiles {
 public:
  explicit BrokeredFiles(std::vector<Channel> channels);

  /// Returns file `number` of the parent's list (see FileList); nullptr if it does not exist. A local file is mapped, a
  /// remote file is read through the channels. This object must outlive the result. Throws the Error that the parent
  /// sends.
  std::shared_ptr<const ByteSource> open(uint64_t number);
  /// Returns nullptr if the task is to plan only.
  std::unique_ptr<os::OutputFile> target(uint64_t file_bytes);
  /// Returns the scratch file; call it once.
  os::FileDescriptor scratch();

  /// Sends a request and returns the payload of a successful response. Throws Error{cancelled} if the parent closed the
  /// channel, or the Error that the parent sends.
  template <Request request, typename... Numbers>
  Message call(Numbers... numbers) {
    WireWriter wire;
    wire(request, ArgumentsOf<request>(numbers...));
    return call(wire.take());
  }

 private:
  Message call(const std::string& request);

  std::vector<Channel> channels_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<const Channel*> free_;
};

}  // namespace depickle::sandbox
