// Runs a fuzz target on every file of the given folders, without libFuzzer: any compiler and any sanitizer will do.
//
// usage: NAME_replay FOLDER...   fails if a folder contains no file, or if an input takes longer than 10 s
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// The mutators are linked, but nothing is mutated here.
extern "C" size_t LLVMFuzzerMutate(uint8_t*, size_t, size_t) { std::abort(); }

namespace {

constexpr unsigned kMaxSeconds = 10;

void replay(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> content(std::istreambuf_iterator<char>(file), {});
  content.shrink_to_fit();  // so that AddressSanitizer sees every read past the end
  alarm(kMaxSeconds);
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(content.data()), content.size());
  alarm(0);
}

}  // namespace

int main(int argc, char** argv) {
  size_t count = 0;
  for (int i = 1; i < argc; ++i) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i]))
      if (entry.is_regular_file()) files.push_back(entry.path());
    std::ranges::sort(files);
    for (const auto& path : files) {
      std::fprintf(stderr, "%s\n", path.c_str());  // the last line names the input that failed
      replay(path);
    }
    if (files.empty()) {
      std::fprintf(stderr, "%s contains no file\n", argv[i]);
      return EXIT_FAILURE;
    }
    count += files.size();
  }
  std::printf("%zu inputs\n", count);
  return count ? EXIT_SUCCESS : EXIT_FAILURE;
}
