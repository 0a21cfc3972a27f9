// The zip container (TZ), storages and their ids (TS), and files that are not models.
#include <gmock/gmock.h>

#include "tests/formats/torch/tables.h"

namespace depickle::torch {
namespace {

using namespace made;
using testing::HasSubstr;
using testing::StartsWith;

std::string renamed(std::vector<Member> members, std::string_view from, std::string_view to) {
  for (Member& member : members) {
    if (member.name == from) member.name = to;
  }
  return zip(members);
}

TEST(TorchZip, ListsTensorsInTheOrderOfTheKeys) {
  Table table =
      table_of(torch_zip(dict({{"b", vector("0", 4)}, {"a", vector("1", 2)}}), {{"0", kFour}, {"1", floats({5, 6})}}));
  EXPECT_EQ(table.kind, detect::FileKind::zip);
  EXPECT_EQ(listed(table), "b F32[4]; a F32[2]");
  EXPECT_EQ(content_of(table, 1), floats({5, 6}));
  EXPECT_EQ(table.storages[1].key, "1");
}

TEST(TorchZip, ReadsEveryProtocolAndDeflatedRecords) {
  for (int protocol = 2; protocol <= 5; ++protocol)
    EXPECT_EQ(listed(table_of(torch_zip(dict({{"w", vector("0", 4)}}), {{"0", kFour}}, protocol))), "w F32[4]");
  std::vector<Member> members = torch_members(dict({{"w", vector("0", 4)}}), {{"0", kFour}});
  for (Member& member : members) member.deflated = true;
  EXPECT_EQ(content_of(table_of(zip(members))), kFour);
}

TEST(TorchZip, ListsUnusedRecordsAndNotesCode) {
  std::vector<Member> members = torch_members(dict({{"w", vector("0", 4)}}), {{"0", kFour}});
  members.push_back({.name = "archive/constants.pkl", .content = "\x80\2).", .described = true});
  members.push_back({.name = "archive/code/__torch__.py", .content = "", .described = true});
  members.push_back({.name = "archive/extra/labels.txt", .content = "cat", .described = true});
  members.push_back({.name = "archive/.data/serialization_id", .content = "1", .described = true});
  Table table = table_of(zip(members));
  EXPECT_EQ(unused_in(table), "extra/labels.txt (record of the archive, 0)");
  EXPECT_THAT(table.notes, testing::ElementsAre("a TorchScript archive: its code is not executed"));
}

TEST(TorchZip, NotesMissingChecksums) {
  std::string plain = torch_zip(dict({{"w", vector("0", 4)}}), {{"0", kFour}});
  auto without_crc = [](std::string file, int n) { return patched(file, central(file, n) + 16, uint32_t{0}); };
  EXPECT_TRUE(table_of(plain).notes.empty());
  EXPECT_THAT(table_of(without_crc(plain, 1)).notes,
      testing::ElementsAre(HasSubstr("the storages have no checksums, but data.pkl has one")));
  EXPECT_THAT(
      table_of(without_crc(without_crc(plain, 0), 1)).notes, testing::ElementsAre("the archive contains no checksums"));
}

TEST(TorchZip, TZ01_records_in_several_folders) {
  auto members = torch_members(dict({{"w", vector("0", 4)}}), {{"0", kFour}});
  EXPECT_EQ(refusal(renamed(members, "archive/version", "version")),
      "f: [TZ01] record \"version\" is not in folder \"archive\", but a torch file has one folder");
  EXPECT_THAT(refusal(renamed(members, "archive/version", "archive2/version")), HasSubstr("[TZ01]"));
  EXPECT_THAT(refusal(renamed(members, "archive/data.pkl", "data.pkl")), HasSubstr("[TZ01] record \"data.pkl\""));
}

TEST(TorchZip, TZ02_archives_of_another_kind_are_named) {
  auto only = [](std::string name) { return refusal(zip({{.name = std::move(name), .content = "x"}})); };
  EXPECT_EQ(only("m/other"), "f: [TZ02] a zip archive without data.pkl: not a torch checkpoint");
  EXPECT_THAT(only("arr_0.npy"), HasSubstr("a NumPy archive (.npz)"));
  EXPECT_THAT(only("m/.data/extern_modules"), HasSubstr("a torch.package archive"));
  EXPECT_THAT(only("m/archive_format"), HasSubstr("a torch.export archive (.pt2)"));
  EXPECT_THAT(only("MAR-INF/MANIFEST.json"), HasSubstr("a TorchServe archive (.mar)"));
  EXPECT_THAT(only("model.weights.h5"), HasSubstr("a Keras or TensorFlow archive"));
}

TEST(TorchZip, TZ03_unknown_byte_orders) {
  auto in_order = [](std::string order) {
    auto members = torch_members(dict({{"w", vector("0", 4)}}), {{"0", kFour}});
    members.push_back({.name = "archive/byteorder", .content = std::move(order), .described = true});
    return refusal(zip(members));
  };
  EXPECT_EQ(in_order("little"), "accepted: w F32[4]");
  EXPECT_EQ(in_order("big"), "accepted: w F32[4] swap");
  EXPECT_EQ(in_order("big\n"), "f: [TZ03] the record byteorder contains \"big\\n\" (expected \"little\" or \"big\")");
  EXPECT_THAT(in_order(std::string(100, 'b')), HasSubstr("[TZ03]"));
}

TEST(TorchZip, AnErrorInThePickleNamesTheRecordAndTheOffsetInTheFile) {
  std::string file = torch_zip("}", {});
  size_t at = file.find("\x80\2}.") + 2;
  EXPECT_EQ(refusal(patched(file, at, '\xff')),
      "f (archive/data.pkl): at byte " + std::to_string(at) + ": [PK01] 0xff is not an opcode");
}

TEST(Storages, TS01_ids_that_torch_does_not_write) {
  auto with_id = [](const std::string& id) { return refused_zip(dict({{"x", id + "Q"}}), {{"0", kFour}}); };
  EXPECT_EQ(with_id(text("storage")), "[TS01] a persistent id is not a tuple");
  EXPECT_EQ(with_id(tuple({})), "[TS01] a persistent id is not a tuple");
  EXPECT_EQ(with_id(tuple({number(1)})), "[TS01] the first element of a persistent id is not a str");
  EXPECT_EQ(
      with_id(tuple({text("storage"), kNone})), "[TS01] a storage's persistent id has 2 elements (expected 5 or 6)");
  auto id = [](std::string type, std::string key, std::string numel, std::string more = "") {
    return tuple({text("storage"), type, key, text("cpu"), numel, more});
  };
  const std::string kFloat = named("torch", "FloatStorage");
  EXPECT_EQ(with_id(id(text("FloatStorage"), text("0"), number(4))), "[TS01] a storage's class is not a global");
  EXPECT_EQ(with_id(id(named("torch", "StringStorage"), text("0"), number(4))),
      "[TS01] unknown storage class torch.StringStorage");
  EXPECT_EQ(
      with_id(id(named("os", "FloatStorage"), text("0"), number(4))), "[TS01] unknown storage class os.FloatStorage");
  for (const std::string& key : {text("a/b"), text(""), text(std::string(65, 'a')), number(0)})
    EXPECT_EQ(with_id(id(kFloat, key, number(4))), "[TS01] a storage's key is not 1 to 64 letters, digits, _, . or -");
  EXPECT_EQ(with_id(id(kFloat, text("0"), number(-1))), "[TS01] a storage's numel is not a count");
  EXPECT_EQ(with_id(id(kFloat, text("0"), number(INT64_MAX))), "[TS01] a storage's numel is not a count");
  EXPECT_EQ(with_id(id(kFloat, text("0"), number(int64_t{1} << 62))), "[TS01] a storage's size overflows");
  EXPECT_EQ(with_id(id(kFloat, text("0"), number(4), tuple({text("v")}))),
      "[TS01] a storage's view is not a tuple of 3 elements");
}

TEST(Storages, KeysCanBePython2StringsOrBytes) {
  auto id = [](std::string key) {
    return tuple({std::string("U\7storage"), named("torch.cuda", "FloatStorage"), key, text("cuda:0"), number(4)}) +
           "Q";
  };
  EXPECT_EQ(listed_zip(dict({{"w", tensor(id("U\1"
                                             "0"),
                                       {4}, {1})}}),
                {{"0", kFour}}),
      "w F32[4]");
  EXPECT_EQ(listed_zip(dict({{"w", tensor(id(made::bytes("0")), {4}, {1})}}), {{"0", kFour}}), "w F32[4]");
}

TEST(Storages, OtherIdsAreIgnored) {
  EXPECT_EQ(listed_zip(dict({{"w", vector("0", 4)},
                           {"m", tuple({text("module"), named("my", "Net"), text("net.py"), text("source")}) + "Q"}}),
                {{"0", kFour}}),
      "w F32[4]");
}

TEST(Storages, TS02_ids_that_contradict_each_other) {
  auto two = [](const std::string& first, const std::string& second) {
    return refused_zip(dict({{"a", first}, {"b", second}}), {{"0", kFour}});
  };
  EXPECT_EQ(refused_zip(dict({{"w", vector("0", 5)}}), {{"0", kFour}}),
      "[TS02] storage \"0\" has 16 bytes (the pickle declares 20)");
  EXPECT_EQ(refused_zip(dict({{"w", vector("0", 3)}}), {{"0", kFour}}),
      "[TS02] storage \"0\" has 16 bytes (the pickle declares 12)");
  EXPECT_EQ(two(storage("FloatStorage", "0", 4), storage("IntStorage", "0", 4)),
      "[TS02] storage \"0\" has two types, float32 and int32");
  EXPECT_EQ(two(storage("FloatStorage", "0", 4), storage("DoubleStorage", "0", 3)).substr(0, 6), "[TS02]");
  EXPECT_EQ(two(storage("UntypedStorage", "0", 16), storage("ByteStorage", "0", 16)), "accepted: a U8[16]; b U8[16]")
      << "torch writes both";
}

TEST(Storages, TS03_a_missing_record) {
  EXPECT_EQ(refused_zip(dict({{"w", vector("1", 4)}}), {{"0", kFour}}), "[TS03] storage \"1\" has no record");
}

TEST(Storages, TS04_views_that_reach_outside) {
  auto view = [](int64_t offset, int64_t numel) { return tuple({text("v"), number(offset), number(numel)}); };
  EXPECT_EQ(listed_zip(dict({{"w", tensor(storage("FloatStorage", "0", 4, view(1, 3)), {2}, {1}, 1)}}), {{"0", kFour}}),
      "w F32[2]@8");
  for (auto [offset, numel] : {std::pair<int64_t, int64_t>{2, 3}, {5, 0}, {int64_t{1} << 62, 1}, {1, int64_t{1} << 62}})
    EXPECT_EQ(refused_zip(dict({{"w", tensor(storage("FloatStorage", "0", 4, view(offset, numel)), {1}, {1})}}),
                  {{"0", kFour}}),
        "[TS04] a view reaches outside storage \"0\"");
}

TEST(FileKind, Of_files_that_torch_writes) {
  using detect::FileKind;
  auto kind = [](std::string_view head) { return detect::file_kind(depickle::bytes(head)); };
  EXPECT_EQ(kind(torch_zip("}", {})), FileKind::zip);
  EXPECT_EQ(kind(legacy("}", {})), FileKind::torch_legacy);
  EXPECT_EQ(kind("\x80\4\x95\x0d" + std::string(7, '\0') + kMagic.substr(2)), FileKind::torch_legacy);
  EXPECT_EQ(kind(pickle("}")), FileKind::pickle);
  EXPECT_EQ(kind(pickle(call("builtins", "eval", {text("0x1950A86A20F9469CFC6C")}))), FileKind::pickle)
      << "a pickle that computes the magic number is not a legacy file";
}

TEST(ReadTable, Refuses_files_that_are_not_models) {
  EXPECT_THAT(refusal("<html>"), HasSubstr("not a model file: a web page"));
  EXPECT_THAT(refusal(raw<uint64_t>(2) + "{}"), HasSubstr("the file is already safetensors"));
}

}  // namespace
}  // namespace depickle::torch
