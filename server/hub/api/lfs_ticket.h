// The signed addresses of LFS objects. Internal to this module.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/hub/api/call.h"

namespace depickle::server::api {

/// The permission in an address. All members are signed: whoever has the address may use it.
struct Ticket {
  std::string action;  ///< "upload", "parts", "download"
  std::string oid;
  uint64_t size_bytes = 0;
  uint64_t part_bytes = 0;
  std::string user;  ///< empty: anonymous, for a download
  std::string repo;  ///< "models/me/demo", for a download
  uint64_t expires = 0;

  std::string query(const Signer& signer) const;
};

/// Reads the ticket of an address. Throws 403 if the signature is wrong, the action is another, or the ticket has
/// expired.
Ticket ticket_of(Hub& hub, const http::Request& request, std::string_view action);

/// The batch endpoint: returns the addresses of the objects of an upload or download.
http::Response lfs_batch(const Call& call);

constexpr std::string_view kLfsJson = "application/vnd.git-lfs+json";

}  // namespace depickle::server::api
