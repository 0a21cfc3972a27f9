#include <fmt/format.h>

#include "server/page/service.h"

namespace depickle::server::page {

std::string metrics(const Service& service) {
  static const http::Counters kNone;
  std::string out = http::metrics_text(service.counters ? *service.counters : kNone);
  auto declare = [&](std::string_view name, std::string_view type) {
    out += fmt::format("# TYPE depickle_{} {}\n", name, type);
  };
  declare("jobs", "gauge");
  std::map<State, uint64_t> counts = service.jobs.count();
  for (State state : {State::queued, State::running, State::done, State::failed, State::cancelled})
    out += fmt::format("depickle_jobs{{state=\"{}\"}} {}\n", name(state), counts[state]);
  declare("job_seconds", "summary");
  for (JobKind kind : {JobKind::plan, JobKind::convert, JobKind::check, JobKind::inspect}) {
    const Runner::Totals& totals = service.runner.totals(kind);
    out += fmt::format("depickle_job_seconds_sum{{kind=\"{}\"}} {:.3f}\n", name(kind),
        static_cast<double>(totals.milliseconds) / 1000);
    out += fmt::format("depickle_job_seconds_count{{kind=\"{}\"}} {}\n", name(kind), totals.jobs.load());
  }
  const Runner::Totals& conversions = service.runner.totals(JobKind::convert);
  declare("downloaded_bytes_total", "counter");
  out += fmt::format("depickle_downloaded_bytes_total {}\n", conversions.downloaded_bytes.load());
  declare("converted_bytes_total", "counter");
  out += fmt::format("depickle_converted_bytes_total {}\n", conversions.converted_bytes.load());
  declare("sandbox_deaths_total", "counter");
  out += fmt::format("depickle_sandbox_deaths_total {}\n", service.runner.sandbox_deaths());
  declare("job_process_deaths_total", "counter");
  out += fmt::format("depickle_job_process_deaths_total {}\n", service.runner.process_deaths());
  declare("disk_bytes", "gauge");
  return out + fmt::format("depickle_disk_bytes {}\n", service.disk_quota.used_bytes());
}

}  // namespace depickle::server::page
