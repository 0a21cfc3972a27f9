// Messages of a sandboxed process: every byte string is a valid value or an error. The first byte selects the type.
#include <array>
#include <string>

#include "depickle/sandbox/messages.h"
#include "fuzz/fuzz.h"

namespace depickle::fuzz {
namespace {

using namespace sandbox;

template <typename Value>
std::string encode(const Value& value) {
  WireWriter wire;
  wire(value);
  return wire.take();
}

// A decoded value is encoded, decoded and encoded again. Both encodings are equal: nothing is lost on the way.
template <typename Value>
void check(std::string_view message) {
  Value value{};
  WireReader reader(message);
  if (!accepts([&] { reader(value); })) return;
  const std::string first = encode(value);
  Value again{};
  WireReader second_reader(first);
  second_reader(again);
  require(encode(again) == first, "an encoded value is decoded without loss");
}

void run(Bytes bytes) {
  if (bytes.empty()) return;
  constexpr std::array kChecks = {check<convert::FileReport>, check<convert::Comparison>, check<convert::TableSummary>,
      check<scan::Scan>, check<repo::ModelPair>, check<std::vector<repo::TensorFinding>>, check<convert::EngineOptions>,
      check<std::optional<Error>>};
  kChecks[std::to_integer<size_t>(bytes[0]) % kChecks.size()](text(bytes.subspan(1)));
}

}  // namespace
}  // namespace depickle::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  depickle::fuzz::run(depickle::fuzz::input(data, size));
  return 0;
}
