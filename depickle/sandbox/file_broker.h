// Gives a sandboxed process the files of its task, and no others.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "depickle/convert/engine.h"
#include "depickle/sandbox/channel.h"
#include "depickle/sandbox/messages.h"

namespace depickle::sandbox {

/// Returns the Error{unsafe} for an act that only a worker that was taken over commits.
Error forbidden_error(std::string what);

/// The closed list of the files of one side of a task, made before the worker starts. A conversion has one side, a
/// comparison two.
struct FileList {
  SideNames files = {};
  uint64_t size_bytes = 0;  ///< of all files whose size is known
  /// Opens the file `files.names[number]`; returns nullptr if it does not exist. Called on one thread at a time.
  std::function<std::shared_ptr<const ByteSource>(size_t number)> open = {};
};

/// What a task may use.
struct Grants {
  std::vector<FileList> sides = {};
  convert::MakeTarget make_target = {};  ///< may be empty
  uint64_t max_file_bytes = 0;           ///< of the target
};

/// Answers the requests of each channel on its own thread. Sends exceptions of opening and reading to the worker. A
/// request that only a worker that was taken over sends is a violation: it ends the answers.
class FileBroker {
 public:
  /// `on_violation` is called once, on another thread. Throws Error{io} if a thread cannot be started.
  FileBroker(std::vector<Channel> channels, Grants grants, std::function<void()> on_violation);
  /// Closes the channels.
  ~FileBroker();
  FileBroker(const FileBroker&) = delete;
  FileBroker& operator=(const FileBroker&) = delete;

  /// Returns the error of the first violation, if one occurred.
  std::optional<Error> violation() const;
  /// Closes the channels and checks the result. Throws the violation, or Error{integrity} if the target does not have
  /// the size that the worker requested.
  void finish();

 private:
  void stop() noexcept;
  void answer_all(const Channel& channel);
  void answer(std::string_view message, const Channel& channel);
  void open(uint64_t number, const Channel& channel);
  void read(uint64_t number, uint64_t offset, uint64_t length, const Channel& channel);
  void target(uint64_t file_bytes, const Channel& channel);
  void scratch(const Channel& channel);
  std::shared_ptr<const ByteSource> open_listed(uint64_t number);

  const std::vector<Channel> channels_;
  const Grants grants_;
  const std::function<void()> on_violation_;
  std::mutex open_mutex_;  // locked before mutex_
  mutable std::mutex mutex_;
  std::optional<Error> violation_;
  std::vector<std::shared_ptr<const ByteSource>> opened_;  // by number; the sides follow one another
  uint64_t opens_ = 0;
  uint64_t read_budget_bytes_;
  bool has_target_ = false;
  bool has_scratch_ = false;
  const os::OutputFile* target_ = nullptr;
  uint64_t target_bytes_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace depickle::sandbox
