#include "cli/exit_code.h"

namespace depickle::cli {

int exit_code(Code code) noexcept {
  switch (code) {
    case Code::unsafe: return kNo;
    case Code::denied: return kLogin;
    case Code::network: return kTemporary;
    case Code::cancelled: return kInterrupted;
    case Code::io:
    case Code::not_found:
    case Code::malformed:
    case Code::truncated:
    case Code::unsupported:
    case Code::limit:
    case Code::integrity: return kCouldNot;
  }
  return kCouldNot;
}

}  // namespace depickle::cli
