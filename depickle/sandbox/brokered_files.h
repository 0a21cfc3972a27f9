// The files of a worker: it opens none, it asks for them.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "depickle/base/source.h"
#include "depickle/os/output_file.h"
#include "depickle/sandbox/channel.h"
#include "depickle/sandbox/messages.h"

namespace depickle::sandbox {

/// Asks over whichever channel is free. Safe to use from several threads.
class BrokeredFiles {
 public:
  explicit BrokeredFiles(std::vector<Channel> channels);

  /// A file of one side, by its name there; empty where there is none. A file of this machine is mapped, another is read
  /// through the channels. Must not outlive this. Throws the Error that the other process sends.
  std::shared_ptr<const ByteSource> open(uint64_t side, const std::string& name);
  /// Empty where only a plan is wanted.
  std::unique_ptr<os::OutputFile> target(uint64_t file_bytes);
  int scratch();

  /// `message` is the question; returns the answer behind its `true`. Throws Error{cancelled} where the other process is gone.
  Message ask(const std::string& question);

 private:
  std::vector<Channel> channels_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<const Channel*> free_;
};

}  // namespace depickle::sandbox
