#include "server/jobs/outcome.h"

namespace depickle::server::jobs {
namespace {

// Returns the hint for a visitor of the page, who cannot use the options of the program.
std::string_view hint_for(Reason reason) {
  switch (reason) {
    case Reason::unsupported_dtype:
      return "the command line can skip these tensors: depickle convert --skip-unsupported";
    case Reason::ambiguous_root: return "the command line can choose one of them: depickle convert --root";
    case Reason::checksum_mismatch: return "upload the file again";
    case Reason::time_limit: return "convert it on your own machine, or ask the operator of this server for more time";
    case Reason::host_not_allowed: return "ask the operator to allow the name: depickle serve --name HOST";
    case Reason::model_too_large: return "convert it on your own machine: depickle convert ORG/NAME --pr";
    default: return "";
  }
}

}  // namespace

Problem Problem::of(const Error& error) {
  const Where& where = error.where();
  const std::string place = !where.file.empty() || !where.tensor.empty() || where.offset_bytes ? error.what() : "";
  return {std::string(depickle::name(error.code())), place.empty() ? error.message() : place,
      hint_for(error.reason()).empty() ? error.hint() : std::string(hint_for(error.reason()))};
}

}  // namespace depickle::server::jobs
