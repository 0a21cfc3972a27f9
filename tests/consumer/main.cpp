// Prints the names and dtypes of the tensors in a file: what a user of the library writes first.
#include <cstdio>

#include <depickle/base/error.h>
#include <depickle/weights/weights.h>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    depickle::Weights weights = depickle::open(argv[1]);
    for (const depickle::Tensor& tensor : weights.tensors()) {
      std::printf("%.*s %s\n", static_cast<int>(tensor.name.size()), tensor.name.data(),
          std::string(depickle::name(tensor.dtype)).c_str());
    }
  } catch (const depickle::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
