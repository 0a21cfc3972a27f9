// A file on a Hub as a ByteSource. Transfers only the ranges that are read.
#pragma once

#include <memory>
#include <string_view>

#include "depickle/base/source.h"
#include "depickle/hub/client.h"

namespace depickle::hub {

/// Opening sends one request, which reads the end of the file (an archive has its directory there). Then each miss
/// fetches a block, and sequential reading doubles the fetch each time, up to 8 MiB. Memory: at most 16 MiB of blocks,
/// and the results of view(), which live as long as the source. view() throws Error{limit} if they exceed 256 MiB in
/// total.
///
/// The content is pinned: other content is Error{integrity}. Safe to use from several threads. Reading throws as Client
/// does.
class RemoteSource final : public ByteSource {
 public:
  struct Traffic {
    uint64_t requests;
    uint64_t transferred_bytes;
  };

  /// Opens the file at `revision`, pinned to the present commit of the revision.
  static std::shared_ptr<const RemoteSource> open(
      const Client& client, const RepoId& repo, std::string_view revision, std::string_view path);
  ~RemoteSource() override;

  uint64_t size_bytes() const noexcept override;
  bool is_remote() const noexcept override { return true; }

  const std::string& commit() const noexcept;
  /// Returns size and hash, as the Hub reported them.
  const RepoFile& file() const noexcept;
  Traffic traffic() const noexcept;

 private:
  struct State;
  explicit RemoteSource(std::string name, std::unique_ptr<State> state);
  Bytes do_view(uint64_t offset, uint64_t length) const override;
  void do_read(uint64_t offset, MutableBytes out) const override;
  std::unique_ptr<State> state_;
};

}  // namespace depickle::hub
