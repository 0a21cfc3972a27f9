// Gives a sandboxed process the files of its task, and no others.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "depickle/convert/engine.h"
#include "depickle/repo/tensor_check.h"
#include "depickle/sandbox/channel.h"
#include "depickle/sandbox/messages.h"

namespace depickle::sandbox {

/// Answers the requests of each channel on its own thread, until the other end is closed. Sends exceptions of opening
/// and reading to the worker.
class FileBroker {
 public:
  /// `sides[i]` opens the files of side i: a conversion has one side, a comparison two. `make_target` may be empty.
  /// Throws Error{io} if a thread cannot be started.
  FileBroker(std::vector<Channel> channels, std::vector<repo::OpenFile> sides, convert::MakeTarget make_target);
  /// Closes the channels.
  ~FileBroker();
  FileBroker(const FileBroker&) = delete;
  FileBroker& operator=(const FileBroker&) = delete;

 private:
  void stop() noexcept;
  void answer_all(const Channel& channel);
  void answer(WireReader& request, const Channel& channel);
  void open(WireReader& request, const Channel& channel);
  void read(WireReader& request, const Channel& channel);
  void target(WireReader& request, const Channel& channel);

  const std::vector<Channel> channels_;
  const std::vector<repo::OpenFile> sides_;
  const convert::MakeTarget make_target_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const ByteSource>> opened_;
  bool has_target_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace depickle::sandbox
