// The time of every pass over a file follows its size: each input is read twice, the second time with twice the bytes.
#include "tests/scaling.h"

#include "depickle/convert/plan.h"
#include "depickle/scan/scan.h"
#include "depickle/weights/weights.h"
#include "tests/formats/torch/tables.h"

namespace depickle::convert {
namespace {

using namespace torch::made;
using torch::source_of;
namespace made = torch::made;

// Scans, opens and plans; errors are the answer for some of the files.
void read_in_all_ways(std::string file) {
  const std::shared_ptr<const ByteSource> source = source_of(std::move(file));
  scan::scan(source);
  try {
    const Weights weights = weights::open(source, {.root = "."});
    plan_conversion(weights, {});
  } catch (const Error&) {
  }
}

template <typename Make>
std::string repeat(size_t count, Make&& make) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += make(std::to_string(i));
  return out;
}
std::string list_of(size_t count, const std::function<std::string(const std::string& i)>& make) {
  return "(" + repeat(count, make) + "l";
}
std::string in_zip(const std::string& value) { return torch_zip(value, {{"0", floats({1, 2})}}); }

struct Input {
  const char* what;
  std::string (*make)(size_t count);
};

std::string tensors_with_storages(size_t count) {
  Items tensors, storages;
  for (size_t i = 0; i < count; ++i) {
    const std::string key = std::to_string(i);
    tensors.emplace_back("w" + key, made::vector(key, 2));
    storages.emplace_back(key, floats({1, 2}));
  }
  return torch_zip(dict(tensors), storages);
}

std::string legacy_storages(size_t count) {
  Items tensors;
  std::vector<LegacyStorage> storages;
  for (size_t i = 0; i < count; ++i) {
    const std::string key = std::to_string(i);
    tensors.emplace_back("w" + key, made::vector(key, 2));
    storages.push_back({key, 2, floats({1, 2})});
  }
  return legacy(dict(tensors), storages);
}

std::string safetensors_tensors(size_t count) {
  std::string header = "{", data;
  for (size_t i = 0; i < count; ++i) {
    header += (i ? ",\"" : "\"") + std::to_string(i) + R"(":{"dtype":"F32","shape":[1],"data_offsets":[)" +
              std::to_string(4 * i) + "," + std::to_string(4 * i + 4) + "]}";
    data += floats({1});
  }
  header += "}";
  return raw<uint64_t>(header.size()) + header + data;
}

std::string records(size_t count, const std::string& content) {
  std::vector<Member> members{{.name = "a/data.pkl", .content = pickle("}")}};
  for (size_t i = 0; i < count; ++i) members.push_back({.name = "a/x" + std::to_string(i), .content = content});
  return zip(members);
}

constexpr Input kInputs[] = {
    {"tensors with a storage each", tensors_with_storages},
    {"storages of a legacy file", legacy_storages},
    {"tensors of a safetensors file", safetensors_tensors},
    {"tensors of one storage",
        [](size_t count) { return in_zip(list_of(count, [](const auto&) { return made::vector("0", 2); })); }},
    {"unsupported tensors",
        [](size_t count) {
          return in_zip(
              list_of(count, [](const auto&) { return tensor(made::storage("QInt8Storage", "0", 8), {8}, {1}); }));
        }},
    {"globals", [](size_t count) { return pickle(list_of(count, [](const auto& i) { return named("m" + i, "f"); })); }},
    {"globals of one module",
        [](size_t count) { return pickle(list_of(count, [](const auto& i) { return named("m", i); })); }},
    {"calls",
        [](size_t count) { return pickle(list_of(count, [](const auto& i) { return call("m", "f", {text(i)}); })); }},
    {"objects",
        [](size_t count) { return in_zip(list_of(count, [](const auto& i) { return instance("m", "C" + i, {}); })); }},
    {"states of one object",
        [](size_t count) {
          return pickle(named("m", "C") + ")\x81" + repeat(count, [](const auto&) { return "}b"; }));
        }},
    {"persistent ids",
        [](size_t count) { return in_zip(list_of(count, [](const auto& i) { return text(i) + "Q"; })); }},
    {"dicts in dicts",
        [](size_t count) {
          return in_zip(repeat(count, [](const auto&) { return "}" + text("k"); }) + "N" +
                        repeat(count, [](const auto&) { return std::string("s"); }));
        }},
    {"equal keys",
        [](size_t count) { return in_zip("(" + repeat(count, [](const auto&) { return text("k") + "N"; }) + "d"); }},
    {"memo entries with large indices",
        [](size_t count) {
          return pickle("N" + repeat(count, [i = uint32_t{0}](const auto&) mutable { return "r" + raw(i += 50'000); }));
        }},
    {"pickles in a stream", [](size_t count) { return repeat(count, [](const auto&) { return pickle("N"); }); }},
    {"a number of many digits", [](size_t count) { return pickle("L" + std::string(count * 10, '7') + "L\n"); }},
    {"a long text with escapes",
        [](size_t count) { return pickle("S'" + repeat(count, [](const auto&) { return "\\x41\\n"; }) + "'\n"); }},
    {"a name of many parts",
        [](size_t count) {
          return pickle(named("m", repeat(count, [](const auto& i) { return "a" + i + "."; }) + "f"));
        }},
    {"records of a zip archive", [](size_t count) { return records(count, "x"); }},
    {"records that may be pickles", [](size_t count) { return records(count, pickle(call("m", "f", {}))); }},
    {"archives in an archive", [](size_t count) { return records(count / 4, zip({{.name = "b", .content = "x"}})); }},
    {"local headers without a directory",
        [](size_t count) {
          const std::string archive = records(count, pickle("N"));
          return archive.substr(0, archive.find("PK\1\2"));
        }},
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kCount = 2'000;  // with sanitizers, everything takes ten times as long
#else
constexpr size_t kCount = 10'000;
#endif

TEST(Scaling, EveryPassTakesLinearTime) {
  for (const Input& input : kInputs) {
    SCOPED_TRACE(input.what);
    expect_linear(kCount, [&](size_t count) { read_in_all_ways(input.make(count)); });
  }
}

}  // namespace
}  // namespace depickle::convert
