// Builds pickles from opcodes, and legacy torch files from pickles.
#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace depickle::torch::made {

template <typename Number>
std::string raw(Number number) {
  std::string out(sizeof number, '\0');
  std::memcpy(out.data(), &number, sizeof number);
  return out;
}
template <typename Number>
std::string raw(std::initializer_list<Number> numbers) {
  std::string out;
  for (Number number : numbers) out += raw(number);
  return out;
}
inline std::string floats(std::initializer_list<float> numbers) { return raw<float>(numbers); }

// Values: each pushes one item onto the stack.
inline const std::string kNone = "N", kTrue = "\x88", kFalse = "\x89";
inline std::string text(std::string_view value) {
  return "X" + raw(static_cast<uint32_t>(value.size())) + std::string(value);
}
inline std::string bytes(std::string_view value) {
  return "B" + raw(static_cast<uint32_t>(value.size())) + std::string(value);
}
inline std::string number(int64_t value) { return std::string("\x8a\x08") + raw(value); }
inline std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += item;
  return out;
}
inline std::string tuple(const std::vector<std::string>& items) { return "(" + joined(items) + "t"; }
inline std::string list(const std::vector<std::string>& items) { return "(" + joined(items) + "l"; }
inline std::string sizes(std::initializer_list<int64_t> values) {
  std::vector<std::string> items;
  for (int64_t value : values) items.push_back(number(value));
  return tuple(items);
}
using Items = std::vector<std::pair<std::string, std::string>>;
inline std::string pairs(const Items& items) {
  std::string out = "(";
  for (const auto& [key, value] : items) out += text(key) + value;
  return out;
}
inline std::string dict(const Items& items) { return pairs(items) + "d"; }
inline std::string named(std::string_view module, std::string_view name) {
  return "c" + std::string(module) + "\n" + std::string(name) + "\n";
}
inline std::string call(std::string_view module, std::string_view name, const std::vector<std::string>& args) {
  return named(module, name) + tuple(args) + "R";
}
inline std::string ordered(const Items& items) { return call("collections", "OrderedDict", {}) + pairs(items) + "u"; }
/// An instance of a class with a state.
inline std::string instance(std::string_view module, std::string_view name, const Items& state) {
  return named(module, name) + ")\x81" + dict(state) + "b";
}
inline std::string module(
    const Items& parameters, const Items& buffers = {}, const Items& modules = {}, const Items& more = {}) {
  Items state{{"training", kTrue}, {"_parameters", ordered(parameters)}, {"_buffers", ordered(buffers)},
      {"_modules", ordered(modules)}};
  state.insert(state.end(), more.begin(), more.end());
  return instance("my.models", "Net", state);
}

// Storages and tensors of torch.
inline std::string storage(std::string_view type, std::string_view key, int64_t numel, const std::string& more = "") {
  return tuple({text("storage"), named("torch", type), text(key), text("cpu"), number(numel), more}) + "Q";
}
inline std::string rebuild(std::string_view builder, const std::vector<std::string>& args) {
  return call("torch._utils", builder, args);
}
inline std::string tensor(const std::string& of, std::initializer_list<int64_t> shape,
    std::initializer_list<int64_t> strides, int64_t offset = 0, const std::string& metadata = "") {
  return rebuild("_rebuild_tensor_v2",
      {of, number(offset), sizes(shape), sizes(strides), kFalse, call("collections", "OrderedDict", {}), metadata});
}
/// A float32 tensor of one dimension that covers its storage.
inline std::string vector(std::string_view key, int64_t numel) {
  return tensor(storage("FloatStorage", key, numel), {numel}, {1});
}

/// A complete pickle.
inline std::string pickle(const std::string& value, int protocol = 2) {
  return std::string("\x80") + static_cast<char>(protocol) + value + ".";
}

inline const std::string kMagic("\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);

struct LegacyStorage {
  std::string key;
  int64_t numel;
  std::string content;
};
/// A legacy file. `keys` replaces the list of the keys of `storages`, if it is not empty.
inline std::string legacy(
    const std::string& value, const std::vector<LegacyStorage>& storages, const std::string& keys = "") {
  std::vector<std::string> listed;
  for (const LegacyStorage& each : storages) listed.push_back(text(each.key));
  std::string out = kMagic + pickle(number(1001)) + pickle(dict({{"little_endian", kTrue}})) + pickle(value) +
                    pickle(keys.empty() ? list(listed) : keys);
  for (const LegacyStorage& each : storages) out += raw(each.numel) + each.content;
  return out;
}

}  // namespace depickle::torch::made
