// The embedded Hub's HTTP API: what huggingface_hub, transformers, diffusers, git and git-lfs ask of a Hub.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>

#include "server/http/server.h"
#include "server/hub/store/store.h"

namespace depickle::server {

/// All endpoints over one store. Must outlive the server that it answers for.
class HubApi {
 public:
  /// `inline_up_to_bytes`: files up to this size are asked for inside the commit, whatever their names say. Throws Error{io}
  /// where the signing key in the data folder can be neither read nor made.
  explicit HubApi(Store& store, uint64_t inline_up_to_bytes = 0);
  ~HubApi();

  http::Router& router() noexcept;
  /// For http::Options::explain: what handlers threw, as the clients tell errors apart.
  static http::Response explain(const http::Request& request, const std::exception& problem);
  /// What /metrics shows; before the server runs.
  void count(const http::Counters& counters);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace depickle::server
