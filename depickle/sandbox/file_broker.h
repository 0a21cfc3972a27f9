// Where a worker asks for files: it gets those that it was meant to have.
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

/// Answers each channel on a thread of its own, until its other end is gone. What opening or reading throws goes to the worker as an answer.
class FileBroker {
 public:
  /// `sides`: how each side's files are opened. `make_target` may be empty.
  FileBroker(std::vector<Channel> channels, std::vector<repo::OpenFile> sides, convert::MakeTarget make_target);
  /// Ends the channels.
  ~FileBroker();
  FileBroker(const FileBroker&) = delete;
  FileBroker& operator=(const FileBroker&) = delete;

 private:
  void answer_all(const Channel& channel);
  void answer(WireReader& question, const Channel& channel);
  void open(WireReader& question, const Channel& channel);
  void read(WireReader& question, const Channel& channel);
  void target(WireReader& question, const Channel& channel);

  const std::vector<Channel> channels_;
  const std::vector<repo::OpenFile> sides_;
  const convert::MakeTarget make_target_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const ByteSource>> opened_;
  bool has_target_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace depickle::sandbox
