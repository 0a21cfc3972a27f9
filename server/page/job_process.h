// The process of a job, as the server sees it.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

#include "depickle/os/file_descriptor.h"
#include "depickle/os/process.h"
#include "depickle/sandbox/channel.h"
#include "server/jobs/messages.h"
#include "server/page/settings.h"

namespace depickle::server::page {

/// The process ended before its job did. `output` is the beginning of what it wrote to stderr, not escaped.
struct ProcessDied : std::runtime_error {
  ProcessDied(const std::string& what, std::string output_) : std::runtime_error(what), output(std::move(output_)) {}
  std::string output;
};

/// A process with one socket and no file of the server. It is not trusted: each of its messages is checked. It dies
/// with the thread that started it, and its sandboxed processes die with it. The destructor kills it.
class JobProcess {
 public:
  /// Starts the program. Throws Error{io}.
  explicit JobProcess(const JobProgram& program);

  /// Runs one job. `check` is called ten times per second; if it throws, the process is told to stop and killed 5
  /// seconds later. Returns the result, or throws the error that the process sent, the exception of `check`,
  /// Error{malformed} after an invalid message, or ProcessDied.
  jobs::JobResult run(const jobs::Confinement& confinement, const jobs::Task& task, jobs::ReportReader& reports,
      const std::function<void()>& check);

 private:
  struct Connections {
    sandbox::Channel ours, theirs;
    os::FileDescriptor output, their_output;
  };
  JobProcess(const JobProgram& program, Connections connections);
  static Connections connect();
  /// Receives messages until the last one.
  void receive_all(jobs::ReportReader& reports, const std::function<void()>& check);
  ProcessDied death();
  std::string output() const;

  sandbox::Channel channel_;
  os::FileDescriptor output_;
  os::Process process_;
};

}  // namespace depickle::server::page
