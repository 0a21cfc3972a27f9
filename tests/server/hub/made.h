// A store in a folder that vanishes, and short words for what the tests do with it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "depickle/base/sha256.h"
#include "server/hub/store/schema.h"
#include "server/hub/store/store.h"

namespace depickle::server {

class Folder {
 public:
  Folder() {
    // In memory where there is such a place: the store waits for the disk at every step, and a kill takes nothing from the kernel.
    std::filesystem::path place = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : std::filesystem::temp_directory_path();
    std::string pattern = (place / "depickle-store-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct Ran {
  int status;
  std::string output;
};

/// The real git, without anybody's settings. Its standard error is part of the output.
inline Ran run(const std::string& command) {
  std::string line =
      "GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_TERMINAL_PROMPT=0 GIT_LFS_SKIP_SMUDGE=1 " + command +
      " 2>&1";
  FILE* pipe = ::popen(line.c_str(), "r");
  Ran ran{-1, {}};
  std::array<char, 4096> buffer;
  for (size_t got; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    ran.output.append(buffer.data(), got);
  ran.status = ::pclose(pipe);
  return ran;
}

/// Runs statements on the database of a store that is closed: to leave what a kill would.
inline void test_sql(const std::filesystem::path& data_folder, const std::string& statements) {
  std::shared_ptr<Database> database = open_store_database(data_folder);
  for (size_t begin = 0; begin < statements.size();) {
    size_t end = statements.find(';', begin);
    database->run(statements.substr(begin, end - begin));
    begin = end + 1;
  }
}

inline std::string file_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class StoreTest : public testing::Test {
 protected:
  explicit StoreTest(Limits limits = {}) : limits_(limits) {}

  void reopen() {
    store_.reset();
    store_ = Store::open(folder_.path() / "data", limits_);
  }
  Caller user(const std::string& name, bool may_write = true) {
    return *store_->users().find_caller(store_->users().add_token(name, may_write));
  }
  static RepoId id(const std::string& full) { return RepoId::parse(RepoType::model, full); }
  RepoInfo made(const std::string& full, const RepoSettings& settings = {}) {
    return store_->repos().create(id(full), settings, me_);
  }

  AddFile add(const std::string& path, const std::string& content) {
    AddFile file{path, store_->spool()};
    file.content.append(bytes(content));
    return file;
  }
  template <typename... Ops>
  static CommitRequest request(const std::string& title, Ops... operations) {
    CommitRequest request;
    request.title = title;
    (request.operations.emplace_back(std::move(operations)), ...);
    return request;
  }
  template <typename... Ops>
  std::string commit(const RepoInfo& info, const std::string& title, Ops... operations) {
    Repo repo = store_->repo(info);
    return Committer(repo).commit("main", request(title, std::move(operations)...), me_).commit;
  }
  /// → its SHA-256.
  std::string uploaded(const std::string& content, const Caller& by) {
    LfsUpload upload = store_->lfs().upload(by.user.name, sha256_hex(bytes(content)), content.size());
    upload.append(bytes(content));
    upload.finish();
    return upload.oid();
  }
  std::string content(const RepoInfo& info, const std::string& path, const std::string& revision = "main",
      const Caller* reader = nullptr) {
    Repo repo = store_->repo(info);
    FileContent found = repo.content(repo.entry_at(repo.commit_at(revision), path), reader);
    return found.file ? file_text(*found.file) : found.bytes;
  }
  std::string git(const RepoInfo& info, const std::string& words) {
    Ran ran = run("git -C " + store_->repo(info).git_folder().string() + " " + words);
    EXPECT_EQ(ran.status, 0) << words << ": " << ran.output;
    return ran.output;
  }

  Folder folder_;
  Limits limits_;
  std::unique_ptr<Store> store_ = Store::open(folder_.path() / "data", limits_);
  Caller me_ = user("me");
};

/// The reason of the StoreError that `body` throws.
template <typename Body>
testing::AssertionResult refuses(StoreReason reason, Body body, const std::string& words = "") {
  try {
    body();
  } catch (const StoreError& refusal) {
    if (refusal.reason() != reason) return testing::AssertionFailure() << "another reason: " << refusal.what();
    if (std::string(refusal.what()).find(words) == std::string::npos)
      return testing::AssertionFailure() << "other words: " << refusal.what();
    return testing::AssertionSuccess();
  } catch (const std::exception& error) {
    return testing::AssertionFailure() << "no refusal: " << error.what();
  }
  return testing::AssertionFailure() << "nothing was refused";
}

}  // namespace depickle::server
