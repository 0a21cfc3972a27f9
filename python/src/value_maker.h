// What a torch file holds, as the Python values that torch.load would return. Nothing that the file names is imported or
// called: a closed list of names stands for Python objects that are chosen here, all others become inert records.
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

/// Values may be nested so deep inside tuples and arguments, which must be there before what they are in. There is no
/// such limit for lists, dicts and states.
inline constexpr int kMaxNested = 400;

class ValueMaker {
 public:
  /// `inert` is called as inert(module, name, args, kwargs) for what is not on the list; None makes that an error.
  ValueMaker(torch::Contents& contents, TensorMaker& tensors, nb::object inert);
  ~ValueMaker();
  ValueMaker(const ValueMaker&) = delete;
  ValueMaker& operator=(const ValueMaker&) = delete;

  /// The root of the pickle. A node is one Python object wherever it is seen. Throws Error, nb::python_error.
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

  // Objects. Each returns an invalid object where the arguments are not what the real class would take: inert then.
  nb::object object(Handle handle);
  nb::object built(torch::BuilderFunction builder, Args args, const Object& object);
  nb::object inert(Handle handle);
  nb::object tensor(Args args, const torch::ElementType* element, Handle requires_grad, Handle hooks, Handle metadata);
  nb::object parameter(Args args, Handle state);
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
  /// What a list, tuple or set holds, or an object that wraps one.
  std::optional<Args> elements(Handle handle) const;

  // What may only be filled once it is there, since it may hold itself.
  void fill(Handle handle);
  void fill_object(nb::handle made, const Object& object);
  void set_items(nb::handle target, Args pairs);

  torch::Contents& contents_;
  const pickle::Graph& graph_;
  TensorMaker& tensors_;
  nb::object inert_class_;
  Arena arena_;
  torch::Rebuilder builders_;
  std::vector<PyObject*> made_;  ///< by node; owned
  std::vector<Handle> to_fill_;
  int depth_ = 0;
};

/// The Python object that a name on the list stands for, as a value: a dtype, a class. Invalid for all others.
nb::object listed_global(const pickle::Global& global);

}  // namespace depickle::python
