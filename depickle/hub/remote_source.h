// A file on the Hub, read by ranges: what is not looked at is not transferred.
#pragma once

#include <memory>
#include <string_view>

#include "depickle/base/source.h"
#include "depickle/hub/client.h"

namespace depickle::hub {

/// Opens with one request, which brings the file's end (where an archive keeps its directory). After that, each miss fetches
/// a block; who reads on gets twice as much each time, up to 8 MiB ahead. Memory: at most 16 MiB of blocks, plus
/// what view() has handed out, which stays until the source dies; view() refuses to hold more than 256 MiB in all: Error{limit}.
///
/// The content is pinned: bytes of another version are Error{integrity}. All members may be called from several threads.
/// Reading throws as Client's calls do.
class RemoteSource final : public ByteSource {
 public:
  struct Traffic {
    uint64_t requests;
    uint64_t transferred_bytes;
  };

  /// The file at `revision`; pinned to the commit that it stands for now.
  static std::shared_ptr<const RemoteSource> open(
      const Client& client, const RepoId& repo, std::string_view revision, std::string_view path);
  ~RemoteSource() override;

  uint64_t size_bytes() const noexcept override;
  bool is_remote() const noexcept override { return true; }

  const std::string& commit() const noexcept;
  /// Its size and hash, as the Hub states them.
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
