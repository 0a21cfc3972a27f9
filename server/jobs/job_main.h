// The process of a job.
#pragma once

namespace depickle::server::jobs {

/// Runs the job that the server sends on the socket kSocket: confines the process, reads the task, runs it, sends the
/// result. Returns the exit code. Call it while the process is single-threaded.
int run_job();

}  // namespace depickle::server::jobs
