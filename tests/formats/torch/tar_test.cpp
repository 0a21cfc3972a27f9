// Rules TA01 to TA03: the tar container of torch 0.1.
#include <gmock/gmock.h>

#include "tests/scan/judged.h"

namespace depickle::torch {
namespace {

using namespace made;
using testing::HasSubstr;

std::string octal(size_t value, size_t digits) {
  std::string out(digits, '0');
  for (; value > 0; value /= 8) out[--digits] = static_cast<char>('0' + value % 8);
  return out;
}

// A block whose checksum field, the 8 bytes from byte 148 on, fits to the other bytes.
std::string with_checksum(std::string block) {
  block.replace(148, 8, "        ");
  unsigned sum = 0;
  for (char c : block.substr(0, 512)) sum += static_cast<unsigned char>(c);
  return block.replace(148, 7, octal(sum, 6) + '\0');
}

std::string tar(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string out;
  for (const auto& [name, content] : members) {
    std::string header(512, '\0');
    header.replace(0, name.size(), name)
        .replace(124, 11, octal(content.size(), 11))
        .replace(148, 8, "        ")
        .replace(156, 1, "0")
        .replace(257, 8, std::string("ustar\00000", 8));
    out += with_checksum(header) + content;
    out.resize((out.size() + 511) / 512 * 512);
  }
  return out + std::string(1024, '\0');
}

// Storage 7 contains four floats; storage 8 is a view of it. Tensor 1 is over the storage, tensor 2 over the view.
const std::string kClass = named("torch", "FloatStorage");
const std::string kStorages = pickle(number(1)) + pickle(tuple({number(7), text("cpu"), kClass})) + raw<int64_t>(4) +
                              kFour + pickle(list({tuple({number(8), number(7), number(1), number(2)})}));
std::string tensor_of(int64_t key, int64_t storage, std::initializer_list<int64_t> numbers) {
  return pickle(tuple({number(key), number(storage), named("torch", "FloatTensor")})) +
         raw<int32_t>({static_cast<int32_t>(numbers.size() / 2), 0}) + raw<int64_t>(numbers);
}
const std::string kTensors = pickle(number(2)) + tensor_of(1, 7, {2, 2, 1, 2, 0}) + tensor_of(2, 8, {1, 1, 1});
const std::string kObject = pickle(dict({{"a", text("1") + "Q"}, {"b", text("2") + "Q"}}));

std::string made_of(const std::string& object, const std::string& storages, const std::string& tensors) {
  return tar({{"sys_info", ""}, {"pickle", object}, {"tensors", tensors}, {"storages", storages}});
}
std::string refused_tar(const std::string& object, const std::string& storages, const std::string& tensors) {
  return error_of_file(made_of(object, storages, tensors)).message();
}

TEST(Tar, FindsTensorsByTheirKeys) {
  Table table = table_of(made_of(kObject, kStorages, kTensors));
  EXPECT_EQ(table.kind, detect::FileKind::tar);
  EXPECT_EQ(listed(table), "a F32[2,2] by [1,2]; b F32[1]@8");
  EXPECT_EQ(content_of(table, 1), floats({3}));
  EXPECT_EQ(scan::judged(made_of(kObject, kStorages, kTensors)), "tensors-only");
}

TEST(Tar, EveryPickleIsScanned) {
  const std::string evil = call("os", "system", {text("id")});
  EXPECT_THAT(scan::judged(made_of(pickle(evil), kStorages, kTensors)), HasSubstr("os.system"));
  EXPECT_THAT(scan::judged(made_of(kObject, pickle(number(1)) + pickle(evil), kTensors)), HasSubstr("os.system"));
  EXPECT_THAT(scan::judged(made_of(kObject, kStorages, pickle(evil))), HasSubstr("os.system"));
}

TEST(Tar, TA01_missing_repeated_and_truncated_members) {
  EXPECT_THAT(refusal(tar({{"pickle", kObject}})),
      HasSubstr("[TA01] a tar archive without \"storages\": not a torch checkpoint"));
  EXPECT_THAT(refusal(tar({{"pickle", kObject}, {"pickle", kObject}})),
      HasSubstr("[TA01] two tar members are named \"pickle\""));
  EXPECT_THAT(refusal(tar({{"pickle", std::string(2000, 'x')}}).substr(0, 1000)),
      HasSubstr("[TA01] the file ends inside tar member \"pickle\" (have 488 bytes, need 2000)"));
}

TEST(Tar, TA03_headers_and_ends_that_torch_does_not_write) {
  const std::string good = made_of(kObject, kStorages, kTensors);
  const size_t storages = good.rfind("storages");
  auto with = [&](size_t at, std::string_view bytes) {
    std::string file = good;
    file.replace(storages + at, bytes.size(), bytes);
    file.replace(storages, 512, with_checksum(file.substr(storages, 512)));
    return refusal(file);
  };
  const std::string prefix = "[TA03] a tar header that torch does not write: ";
  EXPECT_THAT(with(156, "5"), HasSubstr(prefix + "member \"storages\" is not a regular file"));
  EXPECT_THAT(with(156, std::string_view("\0", 1)), HasSubstr(prefix));
  EXPECT_THAT(with(257, "ustar  "), HasSubstr(prefix + "the magic is not \"ustar\" of POSIX"));
  EXPECT_THAT(with(345, "dir"), HasSubstr(prefix + "a link or a prefix"));
  EXPECT_THAT(with(157, "link"), HasSubstr(prefix + "a link or a prefix"));
  EXPECT_THAT(with(20, "x"), HasSubstr(prefix + "bytes after the name"));
  EXPECT_THAT(with(124, "0o000000247"), HasSubstr(prefix + "the spelling of the size of \"storages\""));
  EXPECT_THAT(with(0, "storage2"), HasSubstr("[TA01] a tar archive that contains \"storage2\""));
  std::string spaced = good;
  spaced.replace(storages + 148, 1, " ");
  EXPECT_THAT(refusal(spaced), HasSubstr(prefix + "the spelling of the checksum"));

  const std::string end = "[TA03] the tar archive has other bytes than zeros after its last member";
  EXPECT_THAT(refusal(good + tar({{"storages", kStorages}})), HasSubstr(end));
  EXPECT_THAT(refusal(good + "x"), HasSubstr(end));
}

TEST(Tar, TA02_values_that_torch_does_not_write) {
  EXPECT_EQ(refused_tar(kObject, pickle(text("x")), kTensors), "a tar member does not begin with a count");
  EXPECT_EQ(refused_tar(kObject, pickle(number(1)) + pickle(tuple({number(7), text("cpu"), text("x")})), kTensors),
      "a storage has an unknown class");
  EXPECT_THAT(
      refused_tar(kObject,
          pickle(number(1)) + pickle(tuple({number(7), text("cpu"), kClass})) + raw<int64_t>(5) + kFour, kTensors),
      HasSubstr("storage 7 does not fit into its member"));
  EXPECT_THAT(
      refused_tar(kObject,
          pickle(number(1)) + pickle(tuple({number(7), text("cpu"), kClass})) + raw<int64_t>(-1) + kFour, kTensors),
      HasSubstr("storage 7 does not fit into its member"));
  EXPECT_EQ(refused_tar(kObject, kStorages, pickle(number(1)) + tensor_of(1, 9, {0})),
      "a tensor refers to a storage that does not exist");
  EXPECT_EQ(refused_tar(kObject, kStorages, pickle(number(1)) + tensor_of(1, 7, {-1, 1, 0})),
      "a size, stride or offset is negative (-1)");
  EXPECT_EQ(refused_tar(pickle(dict({{"a", text("3") + "Q"}})), kStorages, kTensors),
      "the object names tensor 3, which does not exist");
  EXPECT_EQ(refused_tar(kObject, kStorages,
                pickle(number(1)) + pickle(tuple({number(1), number(7), kNone})) + raw<int32_t>({100, 0})),
      "a tensor has 100 dimensions (at most 64)");
}

TEST(Tar, TS04_views_that_reach_outside) {
  std::string storages = pickle(number(1)) + pickle(tuple({number(7), text("cpu"), kClass})) + raw<int64_t>(4) + kFour +
                         pickle(list({tuple({number(8), number(7), number(3), number(2)})}));
  EXPECT_EQ(refused_tar(kObject, storages, kTensors), "a view reaches outside its storage");
}

}  // namespace
}  // namespace depickle::torch
