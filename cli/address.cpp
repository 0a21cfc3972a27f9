#include "cli/address.h"

#include "depickle/base/error.h"

namespace depickle::cli {

std::filesystem::path local_path(const std::string& address) {
  Where where = Where::in(address);
  if (address.find("://") != std::string::npos)
    throw Error(Code::unsupported, "", "this version reads files and folders on this machine only", where,
        "download it first, for example with: hf download ORG/NAME");
  std::error_code error;
  bool there = std::filesystem::exists(address, error);
  if (error) throw system_error(error.value(), "cannot look at", address);
  if (!there) throw Error(Code::not_found, "", "there is no such file or folder", where);
  return address;
}

}  // namespace depickle::cli
