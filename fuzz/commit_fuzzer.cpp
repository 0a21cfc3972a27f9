// The body of a commit: NDJSON with file contents in Base64, parsed while it arrives.
#include <algorithm>
#include <optional>

#include "fuzz/fuzz.h"
#include "server/hub/api/commit_body.h"
#include "tests/temporary_folder.h"

namespace depickle::fuzz {
namespace {

using namespace server;

// Small, so that inputs reach them.
constexpr StoreLimits kLimits{.commit_operations = 20, .commit_inline_bytes = 1 << 10};

// Parses the body in blocks of these sizes. Returns nullopt if it is refused.
template <typename NextSize>
std::optional<repos::CommitRequest> parse(Bytes body, NextSize next_size) {
  static const Folder folder;
  std::optional<repos::CommitRequest> request;
  accepts([&] {
    api::CommitBody parser(content::Spool(folder.path(), kLimits.commit_inline_bytes), kLimits);
    for (Bytes rest = body; !rest.empty();) {
      const size_t count = std::min<size_t>(rest.size(), next_size());
      parser.take(rest.first(count));
      rest = rest.subspan(count);
    }
    request = parser.finish();
  });
  return request;
}

std::string described(const repos::Operation& operation) {
  const auto* add = std::get_if<repos::AddFile>(&operation);
  return add ? add->path + "=" + add->content.all() : std::to_string(operation.index());
}

void run(Bytes body) {
  Choices choices(body);
  const auto whole = parse(body, [&] { return body.size(); });
  const auto pieces = parse(body, [&] { return 1 + choices.below(64); });
  require(whole.has_value() == pieces.has_value(), "the sizes of the blocks do not matter");
  if (!whole) return;
  require(whole->operations.size() <= kLimits.commit_operations, "the limit of operations is respected");
  require(whole->title == pieces->title && whole->message == pieces->message && whole->parent == pieces->parent,
      "the sizes of the blocks do not change the header");
  require(std::ranges::equal(whole->operations, pieces->operations, {}, described, described),
      "the sizes of the blocks do not change a file");
}

}  // namespace
}  // namespace depickle::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  depickle::fuzz::run(depickle::fuzz::input(data, size));
  return 0;
}
