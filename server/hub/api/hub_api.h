// The embedded Hub's HTTP API, for huggingface_hub, transformers, diffusers, git and git-lfs.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>

#include "server/http/server.h"
#include "server/hub/repos/store.h"

namespace depickle::server::api {

/// All endpoints of one store. Must outlive the server that uses its router.
class HubApi {
 public:
  /// `inline_up_to_bytes`: preupload asks for files up to this size in the commit, whatever the LFS patterns say.
  /// Throws Error{io} if the signing key in the data folder can be neither read nor created.
  explicit HubApi(repos::Store& store, uint64_t inline_up_to_bytes = 0);
  ~HubApi();

  http::Router& router() noexcept;
  /// For http::Options::explain: the response to an exception of a handler.
  static http::Response explain(const http::Request& request, const std::exception& problem);
  /// Sets the counters of /metrics. Call it before the server runs.
  void set_counters(const http::Counters& counters);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace depickle::server::api
