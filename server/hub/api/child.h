// A child process whose output is streamed: git upload-pack.
#pragma once

#include <string>
#include <vector>

#include "depickle/base/bytes.h"
#include "depickle/os/file_descriptor.h"
#include "depickle/os/process.h"

namespace depickle::server::api {

/// Runs a program with a file descriptor as its standard input. Its standard error goes to /dev/null. The destructor
/// kills the program.
class Child {
 public:
  /// `environment` ("NAME=value") is the whole environment of the program. Throws Error{io}.
  Child(const std::vector<std::string>& arguments, const std::vector<std::string>& environment, int input);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Waits for output. Returns 0 at its end. Throws Error{io}, also if the program fails or cannot be run.
  size_t read(MutableBytes into);

 private:
  struct Pipe {
    os::FileDescriptor read_end, write_end;
  };
  Child(const std::vector<std::string>& arguments, const std::vector<std::string>& environment, int input, Pipe output);
  static Pipe open_pipe(const std::string& program);

  os::FileDescriptor output_;
  os::Process process_;
};

}  // namespace depickle::server::api
