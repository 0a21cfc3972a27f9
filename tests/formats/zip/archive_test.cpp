// Rules ZP01 to ZP11 of docs/formats/torch.md.
#include "depickle/formats/zip/archive.h"

#include <gmock/gmock.h>

#include "tests/formats/torch/tables.h"

namespace depickle::zip {
namespace {

using namespace torch::made;
using testing::HasSubstr;
using testing::StartsWith;
using torch::source_of;
using torch::made::zip;

const std::vector<Member> kTwo{
    {.name = "m/a", .content = "first"}, {.name = "m/b", .content = "second", .described = true}};
const std::string kPlain = zip(kTwo);

// Returns "m/a=first m/b=second ", or the error.
std::string read(const std::string& file) {
  try {
    Archive archive = Archive::read(source_of(file));
    std::string out;
    for (const Record& record : archive.records())
      out += std::string(record.name) + "=" + std::string(depickle::text(archive.content(record).bytes())) + " ";
    for (const std::string& note : archive.notes()) out += "(" + note + ")";
    return out;
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Zip, ReadsStoredDeflatedDescribedAndWideRecords) {
  EXPECT_EQ(read(kPlain), "m/a=first m/b=second ");
  EXPECT_EQ(read(zip(kTwo, {.zip64_end = false})), "m/a=first m/b=second ");
  EXPECT_EQ(read(zip(kTwo, {.comment = "by hand"})), "m/a=first m/b=second ");
  EXPECT_EQ(read(zip({{.name = "d", .content = std::string(100, 'x'), .deflated = true},
                {.name = "e", .content = "y", .deflated = true, .described = true}})),
      "d=" + std::string(100, 'x') + " e=y ");
  EXPECT_EQ(read(zip({{.name = "w", .content = "wide", .wide = true},
                {.name = "v", .content = "too", .described = true, .wide = true}})),
      "w=wide v=too ")
      << "every byte belongs to a record";
  EXPECT_EQ(read(zip({{.name = "m/", .content = ""}, {.name = "m/a", .content = ""}})), "m/= m/a= ");
  EXPECT_EQ(read(zip({})), "");
}

TEST(Zip, FindsNamesWithoutCase) {
  Archive archive =
      Archive::read(source_of(zip({{.name = "M/Data.PKL", .content = "x"}, {.name = "m/other", .content = "y"}})));
  ASSERT_TRUE(archive.find("m/data.pkl"));
  EXPECT_EQ(archive.find("m/data.pkl")->name, "M/Data.PKL");
  EXPECT_FALSE(archive.find("m/data.pk"));
  EXPECT_FALSE(archive.find("m/data.pklx"));
  EXPECT_EQ(archive.find("m/other")->crc, ::crc32(0, reinterpret_cast<const Bytef*>("y"), 1));
}

TEST(Zip, NotesBytesThatDoNotBelongToARecord) {
  EXPECT_EQ(read(kPlain + "12345"), "m/a=first m/b=second (5 bytes after the archive)");
  EXPECT_EQ(read("prefix" + zip(kTwo, {.first_byte = 6})),
      "m/a=first m/b=second (6 bytes of the archive do not belong to a record)");
}

TEST(Zip, ZP01_truncated_archives) {
  for (size_t length = 4; length < kPlain.size(); ++length)
    EXPECT_THAT(read(kPlain.substr(0, length)), HasSubstr("[ZP01]")) << length;
  EXPECT_EQ(read(kPlain.substr(0, 60)), "at byte 60: [ZP01] the zip archive is truncated: it has no end record");
  EXPECT_THAT(read(kPlain + std::string(70'000, 'x')), HasSubstr("has no end record")) << "no reader searches so far";
}

TEST(Zip, ZP01_invalid_end_records) {
  size_t at = end_record(kPlain);
  EXPECT_THAT(read(patched(kPlain, at + 16, uint32_t{1})),
      HasSubstr("[ZP01] the end record and the zip64 end record differ (1 and "));
  EXPECT_THAT(read(patched(kPlain, at + 10, uint16_t{3})),
      HasSubstr("[ZP01] the end record and the zip64 end record differ (3 and 2)"));
  EXPECT_THAT(
      read(patched(kPlain, at + 20, uint16_t{9})), HasSubstr("[ZP01] the archive's comment is longer than the file"));
  EXPECT_THAT(read(patched(kPlain, at + 4, uint16_t{1})), HasSubstr("split over several disks"));
  EXPECT_THAT(read(patched(kPlain, locator(kPlain) + 16, uint32_t{2})), HasSubstr("split over several disks"));
  EXPECT_THAT(read(patched(kPlain, locator(kPlain) + 8, UINT64_MAX)),
      HasSubstr("[ZP01] the zip64 locator points outside the archive"));
  EXPECT_THAT(read(patched(kPlain, locator(kPlain) + 8, uint64_t{0})),
      HasSubstr("[ZP01] the zip64 locator does not point to a zip64 end record"));
  std::string classic = zip(kTwo, {.zip64_end = false});
  EXPECT_THAT(read(patched(classic, end_record(classic) + 16, uint32_t{0xfffffff0})),
      HasSubstr("does not end where the end record begins"));
  EXPECT_THAT(read(patched(classic, end_record(classic) + 12, uint32_t{10})),
      HasSubstr("does not end where the end record begins"));
}

TEST(Zip, ZP01_sizes_beyond_32_bits_come_from_the_zip64_end) {
  size_t at = end_record(kPlain);
  EXPECT_EQ(
      read(patched(patched(patched(kPlain, at + 16, UINT32_MAX), at + 12, UINT32_MAX), at + 10, uint16_t{0xffff})),
      "m/a=first m/b=second ");
  EXPECT_THAT(read(patched(kPlain, end64(kPlain) + 48, UINT64_MAX)), HasSubstr("[ZP01]"));
}

TEST(Zip, ZP01_two_archives_in_one_file) {
  EXPECT_THAT(read(kPlain + kPlain), StartsWith("at byte "));
  EXPECT_THAT(read(kPlain + kPlain), HasSubstr("[ZP01]")) << "torch reads the first, Python's zipfile the second";
  std::string second = zip(kTwo, {.first_byte = static_cast<uint32_t>(kPlain.size()), .zip64_end = false});
  EXPECT_THAT(read(kPlain + second), HasSubstr("[ZP01]"));
  EXPECT_THAT(read(zip(kTwo, {.comment = zip({})})), HasSubstr("[ZP01]")) << "an archive in the comment of another";
}

TEST(Zip, ZP02_names_that_are_equal_without_case) {
  EXPECT_THAT(read(zip({{.name = "m/a", .content = "1"}, {.name = "m/a", .content = "2"}})),
      HasSubstr("[ZP02] two records have the names \"m/a\" and \"m/a\"; readers differ in which of them they use"));
  EXPECT_THAT(read(zip({{.name = "m/a", .content = "1"}, {.name = "M/A", .content = "2"}})), HasSubstr("[ZP02]"));
  EXPECT_EQ(
      read(zip({{.name = "m/\u00e9", .content = "1"}, {.name = "m/\u00c9", .content = "2"}})), "m/\u00e9=1 m/\u00c9=2 ")
      << "only ASCII is folded";
}

TEST(Zip, ZP03_directories_of_another_size_than_declared) {
  std::string classic = zip(kTwo, {.zip64_end = false});
  size_t at = end_record(classic);
  auto of_records = [&](uint16_t count) { return patched(patched(classic, at + 8, count), at + 10, count); };
  EXPECT_THAT(read(of_records(1)), HasSubstr("[ZP03] 49 bytes follow the last directory entry"));
  EXPECT_THAT(read(of_records(3)), HasSubstr("[ZP03] the directory is too small (has 98 bytes for 3 entries)"));
  EXPECT_THAT(
      read(patched(classic, central(classic, 1), uint32_t{0})), HasSubstr("[ZP03] the directory ends too early"));
  EXPECT_THAT(read(patched(classic, central(classic, 1) + 28, uint16_t{4})),
      HasSubstr("[ZP03] a directory entry is longer than the directory"));
  EXPECT_THAT(read(patched(classic, central(classic) + 34, uint16_t{1})),
      HasSubstr("[ZP03] the archive is split over several disks"));
}

TEST(Zip, ZP04_missing_64_bit_sizes) {
  EXPECT_THAT(read(patched(kPlain, central(kPlain) + 24, UINT32_MAX)), HasSubstr("[ZP04] a 64-bit size is missing"));
  std::string wide = zip({{.name = "w", .content = "wide", .wide = true}});
  EXPECT_THAT(read(patched(wide, central(wide) + 46 + 1 + 2, uint16_t{8})), HasSubstr("[ZP04]"));
}

TEST(Zip, ZP05_local_headers_that_differ_from_the_directory) {
  size_t in_local = local(kPlain), in_central = central(kPlain);
  EXPECT_THAT(read(patched(kPlain, in_local, uint32_t{0})), HasSubstr("[ZP05] record \"m/a\" has no local header"));
  EXPECT_THAT(read(patched(kPlain, in_local + 30, 'x')),
      HasSubstr("[ZP05] record \"m/a\" has another name in its local header (\"x/a\")"));
  EXPECT_THAT(read(patched(kPlain, in_local + 8, uint16_t{8})),
      HasSubstr("[ZP05] record \"m/a\" has another method in its local header (8, the directory has 0)"));
  EXPECT_THAT(read(patched(kPlain, in_local + 14, uint32_t{1})),
      HasSubstr("[ZP05] record \"m/a\" has another checksum in its local header"));
  EXPECT_THAT(read(patched(kPlain, in_local + 18, uint32_t{4})),
      HasSubstr("[ZP05] record \"m/a\" has other sizes in its local header (4 and 5, the directory has 5 and 5)"));
  EXPECT_THAT(read(patched(kPlain, in_central + 24, uint32_t{4})),
      HasSubstr("[ZP05] record \"m/a\" is stored but has two sizes (5 and 4)"));
  EXPECT_THAT(read(patched(kPlain, in_central + 42, uint32_t{100'000})),
      HasSubstr("[ZP05] record \"m/a\" is outside the archive"));
  EXPECT_THAT(read(patched(kPlain, local(kPlain, 1) + 14, uint32_t{1})),
      HasSubstr("[ZP05] record \"m/b\" has another checksum in its local header"))
      << "also with a descriptor, if it is not 0";
}

TEST(Zip, ZP06_flags_that_some_readers_ignore) {
  for (int flag : {0x1, 0x20, 0x40, 0x2000}) {
    EXPECT_THAT(read(zip({{.name = "a", .content = "x", .flags = static_cast<uint16_t>(flag)}})),
        HasSubstr("[ZP06] record \"a\" is flagged as encrypted, patched or masked"));
    EXPECT_THAT(read(patched(kPlain, local(kPlain) + 6, static_cast<uint16_t>(0x800 | flag))), HasSubstr("[ZP06]"))
        << "in the local header only";
    EXPECT_THAT(read(patched(kPlain, central(kPlain) + 8, static_cast<uint16_t>(0x800 | flag))), HasSubstr("[ZP06]"))
        << "in the directory only";
  }
}

TEST(Zip, ZP07_other_methods) {
  std::string other = patched(patched(kPlain, local(kPlain) + 8, uint16_t{12}), central(kPlain) + 10, uint16_t{12});
  EXPECT_THAT(read(other),
      HasSubstr("[ZP07] record \"m/a\" is compressed with method 12 (torch reads 0, stored, and 8, deflated)"));
}

TEST(Zip, ZP08_names_that_tools_read_differently) {
  auto with_name = [](std::string name) { return read(zip({{.name = std::move(name), .content = "x"}})); };
  EXPECT_THAT(with_name(""), HasSubstr("[ZP08] the record's name \"\" is empty"));
  EXPECT_THAT(with_name("a\xff"), HasSubstr("[ZP08] the record's name \"a\\xff\" is not UTF-8"));
  EXPECT_THAT(with_name("a\\b"), HasSubstr("contains NUL or a backslash"));
  EXPECT_THAT(with_name(std::string("a\0b", 3)), HasSubstr("contains NUL or a backslash"));
  EXPECT_THAT(with_name("/etc/passwd"), HasSubstr("is absolute"));
  EXPECT_THAT(with_name("c:/x"), HasSubstr("is absolute"));
  for (std::string name : {"../x", "a/../x", "a/..", "./x", "a//x", "a/"})
    EXPECT_THAT(with_name(name), HasSubstr("has an empty, . or .. part")) << name;
  EXPECT_THAT(with_name(std::string(4097, 'a')), HasSubstr("longer than 4096 bytes"));
  EXPECT_EQ(with_name("a/..b/.c"), "a/..b/.c=x ");
}

TEST(Zip, ZP09_records_that_overlap) {
  // The second record's header is inside the first one's content.
  std::string inner = zip({{.name = "b", .content = "second"}}, {.zip64_end = false});
  std::string outer =
      zip({{.name = "a", .content = inner.substr(0, central(inner))}, {.name = "b", .content = "second"}},
          {.zip64_end = false});
  size_t inside = local(outer, 1);
  EXPECT_THAT(read(patched(outer, central(outer, 1) + 42, static_cast<uint32_t>(inside))),
      HasSubstr("[ZP09] record \"b\" overlaps the previous record"));
  // A payload that overlaps the directory.
  std::string longer =
      patched(patched(kPlain, central(kPlain, 1) + 20, uint32_t{600}), central(kPlain, 1) + 24, uint32_t{600});
  EXPECT_THAT(read(longer), HasSubstr("[ZP09] record \"m/b\" overlaps the directory"));
}

TEST(Zip, ZP10_directories_over_the_limit) {
  std::string large =
      patched(patched(kPlain, end64(kPlain) + 24, uint64_t{2'000'000}), end64(kPlain) + 32, uint64_t{2'000'000});
  large = patched(patched(large, end_record(large) + 8, uint16_t{0xffff}), end_record(large) + 10, uint16_t{0xffff});
  EXPECT_THAT(read(large), HasSubstr("[ZP10] the directory is too large (has 2,000,000 records"));
}

TEST(Zip, ZP11_deflated_content_of_another_size_than_declared) {
  std::string good = zip({{.name = "d", .content = std::string(1000, 'x'), .deflated = true, .described = true}});
  EXPECT_THAT(read(patched(good, central(good) + 24, uint32_t{999})),
      HasSubstr("f (d): [ZP11] the content is larger than declared (more than 999 bytes)"));
  EXPECT_THAT(read(patched(good, central(good) + 24, uint32_t{1001})),
      HasSubstr("f (d): [ZP11] the content is smaller than declared (has 1,000 bytes, declares 1,001)"));
  EXPECT_THAT(read(patched(good, local(good) + 31, '\xff')), HasSubstr("f (d): [ZP11] the deflated data is corrupt"));
  std::string shorter = patched(good, central(good) + 20, uint32_t{3});
  EXPECT_THAT(read(shorter), HasSubstr("f (d): [ZP11] the deflated data ends too early"));
}

TEST(Zip, ALargeDeflatedRecordIsInflatedIntoAFile) {
  std::string content;
  for (int i = 0; content.size() < (3 << 20); ++i) content += std::to_string(i);
  Archive archive = Archive::read(source_of(zip({{.name = "d", .content = content, .deflated = true}})));
  Archive::Content read = archive.content(archive.records()[0]);
  EXPECT_TRUE(depickle::text(read.bytes()) == content);
  EXPECT_EQ(depickle::text(read.source->view(1 << 20, 10)), content.substr(1 << 20, 10));
}

}  // namespace
}  // namespace depickle::zip
