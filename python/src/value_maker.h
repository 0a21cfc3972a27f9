// Creates the Python values that torch.load would return for a torch file. Nothing that the file names is imported or
// called: a closed list maps names to Python objects; all other names become inert records.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/arena.h"
#include "depickle/formats/torch/contents.h"
#include "depickle/formats/torch/rebuild.h"
#include "python/src/tensor_maker.h"

namespace depickle::python {

/// The maximum nesting of tuples and arguments, whose items are created first (recursively). Lists, dicts and states
/// are filled later and have no such limit.
inline constexpr int kMaxNesting = 400;

class ValueMaker {
 public:
  /// inert(module, name, args, kwargs) is called for names outside the list; if it is None, they are an error.
  ValueMaker(torch::Contents& contents, TensorMaker& tensors, nb::object inert);
  ~ValueMaker();
  ValueMaker(const ValueMaker&) = delete;
  ValueMaker& operator=(const ValueMaker&) = delete;

  /// Returns the root value of the pickle. Each node becomes one Python object. Throws Error, nb::python_error.
  nb::object make();

 private:
  using Handle = pickle::Handle;
  using Args = std::span<const Handle>;
  using Object = pickle::Object;
  friend struct PlainMakers;

  nb::object value(Handle handle);
  nb::object new_value(Handle handle);
  nb::object tuple(Args items);
  nb::object text(Handle handle) const;
  nb::object big_integer(Handle handle) const;
  nb::object persistent(Handle handle);

  // These return an invalid object if the real class would not accept the arguments; the caller then creates a record.
  nb::object object(Handle handle);
  nb::object built(torch::BuilderFunction builder, Args args, const Object& object);
  nb::object inert(Handle handle);
  nb::object tensor(Args args, const torch::ElementType* element, Handle requires_grad, Handle hooks, Handle metadata);
  nb::object parameter(Args args, Handle state);
  nb::object variable(Args args, Handle state);
  nb::object subclass(Args args);
  nb::object quantized(Args args);
  nb::object sparse(Args args);
  nb::object compressed(Args args);
  nb::object meta(Args args);
  nb::object array(Handle data, Handle dtype, Handle shape, bool fortran);
  nb::object array_dtype(const Object& object);
  nb::object scalar(Args args);
  nb::object bytes_like(const Object& object, bool is_mutable);
  void set_attributes(nb::handle object, Handle state);
  void set_hooks(nb::handle tensor, Handle hooks);
  bool truth(Handle handle) const { return handle != pickle::kNothing && graph_.integer(handle).value_or(0) != 0; }
  /// Returns the items of a list, tuple or set.
  std::optional<Args> elements(Handle handle) const;

  // Containers are filled after they are created, because they may contain themselves.
  void fill(Handle handle);
  void fill_object(nb::handle created, const Object& object);
  void set_items(nb::handle target, Args pairs);

  torch::Contents& contents_;
  const pickle::Graph& graph_;
  TensorMaker& tensors_;
  nb::object inert_class_;
  Arena arena_;
  torch::Rebuilder builders_;
  std::vector<PyObject*> values_;  ///< by node; owned
  std::vector<Handle> to_fill_;
  int depth_ = 0;
};

/// Returns the Python object for a name on the list: a dtype or a class. Returns an invalid object for other names.
nb::object listed_global(const pickle::Global& global);

}  // namespace depickle::python
