// A store in a temporary folder, and helpers of the tests.
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
#include "server/base/database.h"
#include "server/hub/repos/schema.h"
#include "server/hub/repos/store.h"

namespace depickle::server::repos {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    // In memory if possible: the store syncs at every step. The tests only kill processes, so the data need not reach
    // a disk.
    std::filesystem::path parent =
        ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : std::filesystem::temp_directory_path();
    std::string pattern = (parent / "depickle-store-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct CommandResult {
  int status;
  std::string output;
};

/// Runs a shell command with the real git, without the user's configuration. The output includes standard error.
inline CommandResult run(const std::string& command) {
  std::string line =
      "GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_TERMINAL_PROMPT=0 GIT_LFS_SKIP_SMUDGE=1 " + command +
      " 2>&1";
  FILE* pipe = ::popen(line.c_str(), "r");
  CommandResult result{-1, {}};
  std::array<char, 4096> buffer;
  for (size_t got; (got = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    result.output.append(buffer.data(), got);
  result.status = ::pclose(pipe);
  return result;
}

/// Runs statements on the database of a closed store, to make the state that a kill leaves.
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
  explicit StoreTest(StoreLimits limits = {}) : limits_(limits) {}

  void reopen() {
    store_.reset();
    store_ = Store::open(folder_.path() / "data", limits_);
  }
  Caller user(const std::string& name, bool may_write = true) {
    return *store_->users().find_caller(store_->users().add_token(name, may_write));
  }
  static RepoId id(const std::string& full) { return RepoId::parse(RepoType::model, full); }
  RepoInfo create_repo(const std::string& full, const RepoSettings& settings = {}) {
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
  /// Uploads an LFS object. Returns its SHA-256.
  std::string uploaded(const std::string& content, const Caller& by) {
    content::LfsUpload upload = store_->lfs().upload(by.user.name, sha256_hex(bytes(content)), content.size());
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
  std::string git(const RepoInfo& info, const std::string& arguments) {
    CommandResult result = run("git -C " + store_->repo(info).git_folder().string() + " " + arguments);
    EXPECT_EQ(result.status, 0) << arguments << ": " << result.output;
    return result.output;
  }

  TemporaryFolder folder_;
  StoreLimits limits_;
  std::unique_ptr<Store> store_ = Store::open(folder_.path() / "data", limits_);
  Caller me_ = user("me");
};

/// Succeeds if `body` throws a StoreError with this reason and a message that contains `text`.
template <typename Body>
testing::AssertionResult refuses(StoreReason reason, Body body, const std::string& text = "") {
  try {
    body();
  } catch (const StoreError& error) {
    if (error.reason() != reason) return testing::AssertionFailure() << "another reason: " << error.what();
    if (std::string(error.what()).find(text) == std::string::npos)
      return testing::AssertionFailure() << "another message: " << error.what();
    return testing::AssertionSuccess();
  } catch (const std::exception& error) {
    return testing::AssertionFailure() << "not a StoreError: " << error.what();
  }
  return testing::AssertionFailure() << "no exception";
}

}  // namespace depickle::server::repos
