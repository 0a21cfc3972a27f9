// The value maker's tensors and arrays: the results of torch's and numpy's builder functions.
#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "python/src/objects.h"
#include "python/src/value_maker.h"

namespace depickle::python {
namespace {

using pickle::Handle;
using pickle::kNothing;
using pickle::NodeKind;
using torch::BuilderFunction;

[[noreturn]] void unsupported(std::string_view what) {
  throw Error(
      Code::unsupported, "", fmt::format("the file contains a {} tensor, which depickle does not support", what));
}

// Whether the code is a numpy dtype of fixed size: "f4", "U12".
bool is_plain_code(std::string_view code) {
  return code.size() >= 2 && code.size() <= 10 && std::string_view("biufcSU").find(code[0]) != code.npos &&
         std::ranges::all_of(code.substr(1), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

nb::object ValueMaker::built(BuilderFunction builder, Args args, const Object& object) {
  auto argument = [&](size_t i) { return i < args.size() ? args[i] : kNothing; };
  auto need = [&](size_t min_count) {
    if (args.size() < min_count)
      throw Error(
          Code::malformed, "TT01", fmt::format("a builder has {} arguments (expected {})", args.size(), min_count));
  };
  switch (builder) {
    case BuilderFunction::tensor: need(4); return tensor(args, nullptr, kNothing, kNothing, kNothing);
    case BuilderFunction::tensor_v2: need(6); return tensor(args, nullptr, args[4], args[5], argument(6));
    case BuilderFunction::tensor_v3: {
      need(7);
      const pickle::Global* dtype = graph_.global(args[6]);
      const torch::ElementType* element =
          dtype && dtype->module == "torch" ? torch::find_dtype_object(dtype->name) : nullptr;
      if (!element) throw Error(Code::malformed, "TT04", "the dtype of a tensor is not a torch dtype");
      return tensor(args, element, args[4], args[5], argument(7));
    }
    case BuilderFunction::parameter: need(1); return parameter(args, kNothing);
    case BuilderFunction::parameter_with_state: need(4); return parameter(args, args[3]);
    case BuilderFunction::variable: return variable(args, object.state);
    case BuilderFunction::from_type_v2: need(4); return subclass(args);
    case BuilderFunction::old_tensor: {
      Args state = object.state == kNothing ? Args() : graph_.tuple(object.state, 4);
      return state.empty() ? nb::object() : tensor(state, nullptr, kNothing, kNothing, kNothing);
    }
    case BuilderFunction::qtensor: need(6); return quantized(args);
    case BuilderFunction::sparse: need(2); return sparse(args);
    case BuilderFunction::sparse_csr: need(4); return compressed(args);
    case BuilderFunction::meta: need(4); return meta(args);
    case BuilderFunction::load_from_bytes: {
      need(1);
      return tensors_.typed_storage(builders_.storage_of_bytes(args[0]));
    }
    case BuilderFunction::nested:
    case BuilderFunction::jagged: unsupported("nested");
    case BuilderFunction::numpy_reconstruct: {
      Args state = object.state == kNothing ? Args() : graph_.tuple(object.state, 5);
      return state.empty() ? nb::object() : array(state[4], state[2], state[1], truth(state[3]));
    }
    case BuilderFunction::numpy_frombuffer:
      return args.size() == 4 ? array(args[0], args[1], args[2], graph_.text(args[3]) == "F") : nb::object();
    default: return {};
  }
}

nb::object ValueMaker::variable(Args args, Handle state) {
  if (!args.empty()) return parameter(args, kNothing);
  if (state == kNothing) return {};
  // Tensor.__setstate__: a state of four items is a tensor, one of five a variable with its data.
  if (Args items = graph_.tuple(state, 4); !items.empty()) return tensor(items, nullptr, kNothing, kNothing, kNothing);
  if (Args items = graph_.tuple(state, 5); !items.empty()) {
    const Handle parts[] = {items[0], items[2], items[4]};
    return parameter(parts, kNothing);
  }
  return {};
}

nb::object ValueMaker::tensor(
    Args args, const torch::ElementType* element, Handle requires_grad, Handle hooks, Handle metadata) {
  nb::object created = tensors_.tensor(builders_.place(args[0], element, args[1], args[2], args[3]));
  if (truth(requires_grad)) created.attr("requires_grad") = true;
  if (metadata != kNothing && graph_.kind(metadata) == NodeKind::dict) {
    nb::module_ c = nb::module_::import_("torch").attr("_C");
    for (const auto& [key, set] : graph_.entries(graph_.children(metadata))) {
      if (graph_.text(key) == "conj" && truth(set)) c.attr("_set_conj")(created, true);
      if (graph_.text(key) == "neg" && truth(set)) c.attr("_set_neg")(created, true);
    }
  }
  set_hooks(created, hooks);
  return created;
}

// Hooks would be code. torch.save writes an empty OrderedDict.
void ValueMaker::set_hooks(nb::handle tensor, Handle hooks) {
  if (hooks == kNothing || graph_.kind(hooks) == NodeKind::none) return;
  auto object = graph_.object(hooks);
  bool is_empty =
      object ? object->pairs.empty() && graph_.children(object->args).empty() : graph_.children(hooks).empty();
  if (!is_empty || (object && !graph_.is_global(object->callable, "collections", "OrderedDict")))
    throw Error(Code::unsafe, "", "a tensor has backward hooks, which are code");
  static PyObject* const name = PyUnicode_InternFromString("_backward_hooks");
  if (PyObject_SetAttr(tensor.ptr(), name, value(hooks).ptr()) != 0) throw nb::python_error();
}

nb::object ValueMaker::parameter(Args args, Handle state) {
  nb::object data = value(args[0]);
  nb::object created = tensors_.parameter(data, nb::bool_(args.size() < 2 || truth(args[1])));
  set_hooks(created, args.size() > 2 ? args[2] : kNothing);
  if (state != kNothing) set_attributes(created, state);
  return created;
}

// Arguments: builder, class, arguments of the builder, state. For a class outside torch, returns an inert record that
// contains the tensor.
nb::object ValueMaker::subclass(Args args) {
  pickle::Object inner{.made_by = pickle::Op::REDUCE, .callable = args[0], .args = args[2], .items = {}, .pairs = {}};
  const pickle::Global* function = graph_.global(args[0]);
  const pickle::Global* type = graph_.global(args[1]);
  auto builder = function ? torch::find_builder(*function) : std::nullopt;
  if (!builder || *builder == BuilderFunction::from_type_v2 || !type || graph_.kind(args[2]) != NodeKind::tuple)
    return {};
  nb::object created = built(*builder, graph_.children(args[2]), inner);
  if (!created.is_valid()) return {};
  if (type->module == "torch" && type->name == "Tensor") {
    set_attributes(created, args[3]);
    return created;
  }
  if (type->module == "torch.nn.parameter" && type->name == "Parameter") {
    if (!created.type().is(listed_global(*type))) created = tensors_.parameter(created, created.attr("requires_grad"));
    set_attributes(created, args[3]);
    return created;
  }
  if (inert_class_.is_none())
    throw Error(Code::unsafe, "",
        fmt::format("the file contains {}.{}, a tensor class that is not part of torch", printable(type->module, 80),
            printable(type->name, 80)),
        {}, "depickle.torch.load returns such objects as inert records; nothing was imported or called");
  nb::object record = inert_class_(readable(type->module), readable(type->name), nb::make_tuple(created), nb::none());
  nb::object state = value(args[3]);
  if (PyObject_GenericSetAttr(record.ptr(), nb::str("state").ptr(), state.ptr()) != 0) throw nb::python_error();
  return record;
}

nb::object ValueMaker::quantized(Args args) {
  builders_.place(args[0], nullptr, args[1], args[2], args[3]);  // checks its geometry
  nb::object parameters = tuple(graph_.children(args[4]));
  nb::object hooks = nb::module_::import_("collections").attr("OrderedDict")();
  return nb::module_::import_("torch._utils")
      .attr("_rebuild_qtensor")(tensors_.typed_storage(builders_.storage_of(args[0])), value(args[1]), value(args[2]),
          value(args[3]), parameters, truth(args[5]), hooks);
}

nb::object ValueMaker::sparse(Args args) {
  Args data = graph_.children(args[1]);
  nb::module_ torch = nb::module_::import_("torch");
  nb::object layout = value(args[0]);
  if (layout.is(torch.attr("sparse_coo")) && (data.size() == 3 || data.size() == 4)) {
    nb::object created = torch.attr("sparse_coo_tensor")(value(data[0]), value(data[1]), value(data[2]),
        nb::arg("check_invariants") = true, nb::arg("is_coalesced") = data.size() == 4 ? value(data[3]) : nb::none());
    return created;
  }
  if (data.size() != 4) unsupported("sparse");
  return torch.attr("sparse_compressed_tensor")(value(data[0]), value(data[1]), value(data[2]), value(data[3]),
      nb::arg("layout") = layout, nb::arg("check_invariants") = true);
}

nb::object ValueMaker::compressed(Args args) {
  nb::module_ torch = nb::module_::import_("torch");
  return torch.attr("sparse_compressed_tensor")(value(args[0]), value(args[1]), value(args[2]), value(args[3]),
      nb::arg("layout") = torch.attr("sparse_csr"), nb::arg("check_invariants") = true);
}

nb::object ValueMaker::meta(Args args) {
  return nb::module_::import_("torch").attr("empty_strided")(value(args[1]), value(args[2]),
      nb::arg("dtype") = value(args[0]), nb::arg("device") = "meta", nb::arg("requires_grad") = truth(args[3]));
}

nb::object ValueMaker::array_dtype(const Object& object) {
  Args args = graph_.children(object.args);
  Args state = object.state == kNothing ? Args() : graph_.children(object.state);
  auto code = args.empty() ? std::nullopt : graph_.text(args[0]);
  if (!code || !is_plain_code(*code)) return {};
  std::string spelled(*code);
  if (state.size() >= 5) {
    auto order = graph_.text(state[1]);
    bool is_plain = graph_.kind(state[2]) == NodeKind::none && graph_.kind(state[3]) == NodeKind::none;
    if (!order || order->size() != 1 || !is_plain) return {};
    spelled.insert(0, *order);
  }
  return nb::module_::import_("numpy").attr("dtype")(spelled);
}

// Returns an array with its own memory, as unpickling does, not a view of the file.
nb::object ValueMaker::array(Handle data, Handle dtype, Handle shape, bool fortran) {
  auto type = graph_.object(dtype);
  if (!type || !graph_.is_global(type->callable, "numpy", "dtype")) return {};
  nb::object numpy_dtype = value(dtype);
  auto bytes = builders_.inline_bytes(data);
  nb::module_ numpy = nb::module_::import_("numpy");
  if (!bytes || !nb::isinstance(numpy_dtype, numpy.attr("dtype"))) return {};
  std::vector<uint64_t> sizes = builders_.sizes_of(shape, "shape");
  nb::list shape_list;
  for (uint64_t size : sizes) shape_list.append(size);
  std::string_view content = depickle::text(bytes->bytes());
  nb::object view = take(PyMemoryView_FromMemory(const_cast<char*>(content.data()), std::ssize(content), PyBUF_READ));
  const char* order = fortran ? "F" : "C";
  nb::object created = numpy.attr("ndarray")(nb::tuple(shape_list), numpy_dtype, view, nb::arg("order") = order);
  return created.attr("astype")(numpy_dtype.attr("newbyteorder")("="), order);  // always copies, to native byte order
}

nb::object ValueMaker::scalar(Args args) {
  if (args.size() != 2) return {};
  nb::object dtype = value(args[0]);
  auto bytes = builders_.inline_bytes(args[1]);
  nb::module_ numpy = nb::module_::import_("numpy");
  if (!bytes || !nb::isinstance(dtype, numpy.attr("dtype"))) return {};
  std::string_view content = depickle::text(bytes->bytes());
  nb::object copy = take(PyBytes_FromStringAndSize(content.data(), std::ssize(content)));
  return numpy.attr("frombuffer")(copy, dtype)[0];
}

nb::object ValueMaker::bytes_like(const Object& object, bool is_mutable) {
  auto make = is_mutable ? PyByteArray_FromStringAndSize : PyBytes_FromStringAndSize;
  Args args = graph_.children(object.args);
  if (args.empty()) return take(make(nullptr, 0));
  if (args.size() == 2 && graph_.text(args[1]) && graph_.text(args[0])) {
    // bytearray(text, "latin-1") or _codecs.encode(text, "latin1").
    auto codec = *graph_.text(args[1]);
    if (codec != "latin-1" && codec != "latin1") return {};
    nb::object encoded = take(PyUnicode_AsLatin1String(value(args[0]).ptr()));
    return take(make(PyBytes_AS_STRING(encoded.ptr()), PyBytes_GET_SIZE(encoded.ptr())));
  }
  if (args.size() != 1 || graph_.kind(args[0]) == NodeKind::text) return {};
  auto bytes = builders_.inline_bytes(args[0]);
  if (!bytes) return {};
  std::string_view content = depickle::text(bytes->bytes());
  return take(make(content.data(), std::ssize(content)));
}

}  // namespace depickle::python
