// `depickle-jobs`: the process of a job, which depickle-server starts.
#include <malloc.h>
#include <sys/socket.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "depickle/sandbox/serve.h"
#include "server/jobs/job_main.h"
#include "server/jobs/messages.h"

namespace {

bool has_socket() {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(depickle::server::jobs::kSocket, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

}  // namespace

int main(int count, char** words) {
  // A fixed threshold, so that free() always returns large blocks to the system.
  ::mallopt(M_MMAP_THRESHOLD, 128 << 10);
  if (count == 3 && std::string_view(words[1]) == "worker") return depickle::sandbox::serve(std::atoi(words[2]));
  if (count != 1 || !has_socket()) {
    std::fputs("error: depickle-jobs is started by depickle-server only\n", stderr);
    return 2;
  }
  try {
    return depickle::server::jobs::run_job();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
