// A child process whose answer is streamed: git upload-pack.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "depickle/base/bytes.h"
#include "depickle/os/process.h"

namespace depickle::server::api {

/// Runs a program with a descriptor as its input; its output is read here, its errors are dropped. Ends it, if it still runs, when destroyed.
class Child {
 public:
  /// `environment` is all that it gets: "NAME=value". Throws Error{io} where no process can be started.
  Child(const std::vector<std::string>& words, const std::vector<std::string>& environment, int input);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Waits for output; 0 at its end. Throws Error{io} where the program then fails, or could not be run at all.
  size_t read(MutableBytes into);

 private:
  int output_ = -1;
  std::optional<os::Process> process_;
};

}  // namespace depickle::server::api
