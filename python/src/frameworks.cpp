#include "python/src/frameworks.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "python/src/errors.h"
#include "python/src/objects.h"
#include "python/src/torch_tensor.h"

namespace depickle::python {
namespace {

// The names in Python's array libraries. is_numpy_dtype() tells which ones numpy itself has; ml_dtypes has the others.
struct Spelling {
  Dtype dtype;
  const char* name;
};
constexpr Spelling kSpellings[] = {{Dtype::BOOL, "bool"}, {Dtype::U8, "uint8"}, {Dtype::I8, "int8"},
    {Dtype::I16, "int16"}, {Dtype::U16, "uint16"}, {Dtype::I32, "int32"}, {Dtype::U32, "uint32"}, {Dtype::I64, "int64"},
    {Dtype::U64, "uint64"}, {Dtype::F16, "float16"}, {Dtype::F32, "float32"}, {Dtype::F64, "float64"},
    {Dtype::C64, "complex64"}, {Dtype::BF16, "bfloat16"}, {Dtype::F8_E4M3, "float8_e4m3fn"},
    {Dtype::F8_E4M3FNUZ, "float8_e4m3fnuz"}, {Dtype::F8_E5M2, "float8_e5m2"}, {Dtype::F8_E5M2FNUZ, "float8_e5m2fnuz"},
    {Dtype::F8_E8M0, "float8_e8m0fnu"}, {Dtype::F4, "float4_e2m1fn_x2"}};

const char* spelling(Dtype dtype) noexcept {
  const auto* found = std::ranges::find(kSpellings, dtype, &Spelling::dtype);
  return found == std::end(kSpellings) ? nullptr : found->name;
}

bool is_numpy_dtype(Dtype dtype) noexcept {
  switch (dtype) {
    case Dtype::BF16:
    case Dtype::F8_E4M3:
    case Dtype::F8_E4M3FNUZ:
    case Dtype::F8_E5M2:
    case Dtype::F8_E5M2FNUZ:
    case Dtype::F8_E8M0:
    case Dtype::F4:
    case Dtype::F6_E2M3:
    case Dtype::F6_E3M2: return false;
    default: return true;
  }
}

class Torch final : public Framework {
 public:
  Torch() : torch_(nb::module_::import_("torch")) {
    for (const Spelling& each : kSpellings)
      dtypes_[static_cast<size_t>(each.dtype)] = nb::getattr(torch_, each.name, nb::none());
  }

  nb::object view(nb::handle buffer, uint64_t offset, Dtype dtype, std::span<const uint64_t> shape) const override {
    return torch_tensor(buffer, offset, of(dtype), spelling(dtype), shape);
  }

 private:
  const nb::object& of(Dtype dtype) const {
    const nb::object& found = dtypes_[static_cast<size_t>(dtype)];
    if (!found.is_valid()) raise_dtype_not_understood(dtype);
    if (found.is_none())
      raise_safetensor_error(fmt::format("torch {} has no dtype {} for {}", nb::str(torch_.attr("__version__")).c_str(),
          spelling(dtype), name(dtype)));
    return found;
  }

  nb::module_ torch_;
  std::array<nb::object, kDtypes> dtypes_;
};

class Numpy : public Framework {
 public:
  nb::object view(nb::handle buffer, uint64_t offset, Dtype dtype, std::span<const uint64_t> shape) const override {
    nb::object dtype_object = is_numpy_dtype(dtype) ? dtypes_[static_cast<size_t>(dtype)] : extension(dtype);
    nb::object sizes = tuple_of(shape), offset_number = number(offset);
    PyObject* arguments[] = {sizes.ptr(), dtype_object.ptr(), buffer.ptr(), offset_number.ptr()};
    return take(PyObject_Vectorcall(ndarray_.ptr(), arguments, 4, nullptr));
  }

 protected:
  Numpy() : numpy_(nb::module_::import_("numpy")), ndarray_(numpy_.attr("ndarray")) {
    for (const Spelling& each : kSpellings)
      if (is_numpy_dtype(each.dtype)) dtypes_[static_cast<size_t>(each.dtype)] = numpy_.attr("dtype")(each.name);
  }

  /// Returns the dtype object for a dtype that numpy itself does not have.
  virtual nb::object extension(Dtype dtype) const {
    if (bits(dtype) < 8) raise_dtype_not_understood(dtype);
    nb::object found;
    try {
      found = nb::getattr(nb::module_::import_("ml_dtypes"), spelling(dtype), nb::none());
    } catch (nb::python_error& error) {
      if (!error.matches(PyExc_ImportError)) throw;
      raise_safetensor_error(
          fmt::format("numpy has no dtype for {}: install ml_dtypes, which has {}", name(dtype), spelling(dtype)));
    }
    if (found.is_none())
      raise_safetensor_error(
          fmt::format("the installed ml_dtypes has no {} for {}: upgrade it", spelling(dtype), name(dtype)));
    return found;
  }
  /// Returns the unsigned integer dtype of the same size.
  const nb::object& carrier(Dtype dtype) const {
    if (bits(dtype) < 8) raise_dtype_not_understood(dtype);
    return dtypes_[static_cast<size_t>(bits(dtype) == 16 ? Dtype::U16 : Dtype::U8)];
  }

 private:
  nb::module_ numpy_;
  nb::object ndarray_;
  std::array<nb::object, kDtypes> dtypes_;
  friend class Framework;
};

// A framework that converts numpy arrays, also those with dtypes of ml_dtypes.
class FromNumpy final : public Numpy {
 public:
  FromNumpy(const char* module, const char* function) : convert_(nb::module_::import_(module).attr(function)) {}
  nb::object finish(nb::object view, Dtype) const override { return convert_(view); }

 private:
  nb::object convert_;
};

// A framework that converts only numpy's own dtypes, and can view the bits of a tensor as another dtype.
class FromBits final : public Numpy {
 public:
  FromBits(const char* module, const char* function)
      : module_(nb::module_::import_(module)),
        convert_(module_.attr(function)) {}

  nb::object finish(nb::object view, Dtype dtype) const override {
    nb::object tensor = convert_(view);
    if (is_numpy_dtype(dtype)) return tensor;
    nb::object found = nb::getattr(module_, spelling(dtype), nb::none());
    if (found.is_none()) raise_dtype_not_understood(dtype);
    return tensor.attr("view")(found);
  }

 private:
  nb::object extension(Dtype dtype) const override { return carrier(dtype); }
  nb::module_ module_;
  nb::object convert_;
};

class OnlyNumpy final : public Numpy {};

std::unique_ptr<const Framework> make(FrameworkName name) {
  switch (name) {
    case FrameworkName::torch: return std::make_unique<Torch>();
    case FrameworkName::numpy: return std::make_unique<OnlyNumpy>();
    case FrameworkName::tensorflow: return std::make_unique<FromNumpy>("tensorflow", "convert_to_tensor");
    case FrameworkName::jax: return std::make_unique<FromNumpy>("jax.numpy", "asarray");
    case FrameworkName::mlx: return std::make_unique<FromBits>("mlx.core", "array");
    case FrameworkName::paddle: return std::make_unique<FromBits>("paddle", "to_tensor");
  }
  return nullptr;
}

}  // namespace

std::optional<FrameworkName> find_framework(std::string_view name) noexcept {
  static constexpr std::pair<std::string_view, FrameworkName> kNames[] = {{"pt", FrameworkName::torch},
      {"torch", FrameworkName::torch}, {"pytorch", FrameworkName::torch}, {"np", FrameworkName::numpy},
      {"numpy", FrameworkName::numpy}, {"tf", FrameworkName::tensorflow}, {"tensorflow", FrameworkName::tensorflow},
      {"jax", FrameworkName::jax}, {"flax", FrameworkName::jax}, {"mlx", FrameworkName::mlx},
      {"paddle", FrameworkName::paddle}};
  for (const auto& [spelled, framework] : kNames)
    if (spelled == name) return framework;
  return std::nullopt;
}

// Never freed, because the interpreter may no longer exist at the end of the process. An import may release the GIL, so
// two threads may create the object; the first one is used.
const Framework& Framework::of(FrameworkName name) {
  static std::array<std::atomic<const Framework*>, 6> created{};
  auto& slot = created[static_cast<size_t>(name)];
  if (const Framework* framework = slot.load(std::memory_order_acquire)) return *framework;
  std::unique_ptr<const Framework> fresh = make(name);
  const Framework* first = nullptr;
  if (slot.compare_exchange_strong(first, fresh.get())) return *fresh.release();
  return *first;
}

void raise_dtype_not_understood(Dtype dtype) {
  raise_safetensor_error(fmt::format("Dtype not understood: {}", name(dtype)));
}

}  // namespace depickle::python
