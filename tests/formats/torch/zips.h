// Writes zip archives for tests. Invalid archives are valid ones that are patched.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <zlib.h>

#include "pickles.h"

namespace depickle::torch::made {

struct Member {
  std::string name;
  std::string content;
  bool deflated = false;
  bool described = false;  ///< sizes and checksum only in a data descriptor, as torch writes them
  bool wide = false;       ///< a zip64 block in both headers
  uint16_t flags = 0;
};

inline std::string deflate(std::string_view content) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, content.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct ZipOptions {
  uint32_t first_byte = 0;  ///< added to every offset: the length of the data before the archive
  bool zip64_end = true;
  std::string comment;
};

inline std::string zip(const std::vector<Member>& members, const ZipOptions& options = {}) {
  std::string out, directory;
  for (const Member& member : members) {
    std::string payload = member.deflated ? deflate(member.content) : member.content;
    auto crc = static_cast<uint32_t>(
        ::crc32(0, reinterpret_cast<const Bytef*>(member.content.data()), static_cast<uInt>(member.content.size())));
    auto stored = static_cast<uint32_t>(payload.size()), size = static_cast<uint32_t>(member.content.size());
    auto flags = static_cast<uint16_t>(member.flags | 0x800 | (member.described ? 8 : 0)),
         method = static_cast<uint16_t>(member.deflated ? 8 : 0);
    std::string block = member.wide ? raw<uint16_t>({1, 16}) + raw<uint64_t>({size, stored}) : "";
    auto name_bytes = static_cast<uint16_t>(member.name.size()), extra_bytes = static_cast<uint16_t>(block.size());
    std::string both = raw(method) + raw<uint32_t>(0);
    std::string sizes32 = member.wide ? raw<uint32_t>({0xffffffff, 0xffffffff}) : raw<uint32_t>({stored, size});
    auto offset = static_cast<uint32_t>(out.size()) + options.first_byte;
    out += "PK\3\4" + raw<uint16_t>({20, flags}) + both +
           (member.described ? std::string(12, '\0') : raw(crc) + sizes32) + raw<uint16_t>({name_bytes, extra_bytes}) +
           member.name + block + payload;
    if (member.described)
      out += "PK\7\x08" + raw(crc) + (member.wide ? raw<uint64_t>({stored, size}) : raw<uint32_t>({stored, size}));
    directory += "PK\1\2" + raw<uint16_t>({0, 20, flags}) + both + raw(crc) + sizes32 +
                 raw<uint16_t>({name_bytes, extra_bytes, 0, 0, 0}) + raw<uint32_t>({0, offset}) + member.name + block;
  }
  auto directory_at = static_cast<uint32_t>(out.size()) + options.first_byte,
       directory_bytes = static_cast<uint32_t>(directory.size());
  auto count = static_cast<uint16_t>(members.size());
  out += directory;
  if (options.zip64_end) {
    uint64_t end64_at = out.size() + options.first_byte;
    out += "PK\6\6" + raw<uint64_t>(44) + raw<uint16_t>({798, 45}) + raw<uint32_t>({0, 0}) +
           raw<uint64_t>({count, count, directory_bytes, directory_at});
    out += "PK\6\7" + raw<uint32_t>(0) + raw(end64_at) + raw<uint32_t>(1);
  }
  out += "PK\5\6" + raw<uint16_t>({0, 0, count, count}) + raw<uint32_t>({directory_bytes, directory_at}) +
         raw(static_cast<uint16_t>(options.comment.size())) + options.comment;
  return out;
}

/// The records that torch.save writes.
inline std::vector<Member> torch_members(
    const std::string& value, const std::vector<std::pair<std::string, std::string>>& storages, int protocol = 2) {
  std::vector<Member> members{{.name = "archive/data.pkl", .content = pickle(value, protocol), .described = true}};
  for (const auto& [key, content] : storages)
    members.push_back({.name = "archive/data/" + key, .content = content, .described = true});
  members.push_back({.name = "archive/version", .content = "3\n", .described = true});
  return members;
}
inline std::string torch_zip(
    const std::string& value, const std::vector<std::pair<std::string, std::string>>& storages, int protocol = 2) {
  return zip(torch_members(value, storages, protocol));
}

/// Returns the offset of the n-th header with a signature.
inline size_t place(const std::string& archive, std::string_view signature, int n = 0) {
  size_t at = archive.find(signature);
  for (; n > 0; --n) at = archive.find(signature, at + 4);
  return at;
}
inline size_t local(const std::string& archive, int n = 0) { return place(archive, "PK\3\4", n); }
inline size_t central(const std::string& archive, int n = 0) { return place(archive, "PK\1\2", n); }
inline size_t end64(const std::string& archive) { return archive.rfind("PK\6\6"); }
inline size_t locator(const std::string& archive) { return archive.rfind("PK\6\7"); }
inline size_t end_record(const std::string& archive) { return archive.rfind("PK\5\6"); }

/// Returns the archive with a number written at an offset.
template <typename Number>
std::string patched(std::string archive, size_t at, Number number) {
  return archive.replace(at, sizeof number, raw(number));
}

}  // namespace depickle::torch::made
