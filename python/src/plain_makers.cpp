#include "python/src/plain_makers.h"

#include <algorithm>

#include "depickle/formats/torch/globals.h"

namespace depickle::python {
namespace {

using pickle::Global;
using pickle::Handle;
using pickle::kNothing;
using pickle::NodeKind;

// A global name on the closed list, and the Python object for it. Old names (Python 2, older torch) map to current
// ones.
struct Listed {
  std::string_view module, name;
  const char *python_module, *python_name;
};
constexpr Listed kListed[] = {
    {"collections", "OrderedDict", "collections", "OrderedDict"},
    {"collections", "defaultdict", "collections", "defaultdict"},
    {"collections", "Counter", "collections", "Counter"},
    {"collections", "deque", "collections", "deque"},
    {"torch", "Size", "torch", "Size"},
    {"torch", "device", "torch", "device"},
    {"torch", "Tensor", "torch", "Tensor"},
    {"torch", "dtype", "torch", "dtype"},
    {"torch.nn.parameter", "Parameter", "torch.nn", "Parameter"},
    {"torch", "per_tensor_affine", "torch", "per_tensor_affine"},
    {"torch", "per_channel_affine", "torch", "per_channel_affine"},
    {"torch", "per_tensor_symmetric", "torch", "per_tensor_symmetric"},
    {"torch", "per_channel_symmetric", "torch", "per_channel_symmetric"},
    {"torch", "per_channel_affine_float_qparams", "torch", "per_channel_affine_float_qparams"},
    {"torch.torch_version", "TorchVersion", "torch.torch_version", "TorchVersion"},
    {"numpy", "ndarray", "numpy", "ndarray"},
    {"numpy", "dtype", "numpy", "dtype"},
};
constexpr std::pair<std::string_view, const char*> kBuiltins[] = {{"set", "set"}, {"frozenset", "frozenset"},
    {"list", "list"}, {"tuple", "tuple"}, {"dict", "dict"}, {"bytearray", "bytearray"}, {"bytes", "bytes"},
    {"complex", "complex"}, {"int", "int"}, {"long", "int"}, {"float", "float"}, {"str", "str"}, {"unicode", "str"},
    {"bool", "bool"}, {"slice", "slice"}, {"range", "range"}, {"xrange", "range"}, {"object", "object"}};
// torch.serialization._get_layout("torch.sparse_coo")
constexpr std::string_view kLayouts[] = {"torch.strided", "torch.sparse_coo", "torch.sparse_csr", "torch.sparse_csc",
    "torch.sparse_bsr", "torch.sparse_bsc", "torch._mkldnn", "torch.jagged"};

bool is_builtins(std::string_view module) { return module == "builtins" || module == "__builtin__"; }

nb::object import_name(const char* module, const char* name) { return nb::module_::import_(module).attr(name); }

bool is_builtin(nb::handle value) {
  return std::ranges::any_of(
      kBuiltins, [&](const auto& each) { return value.is(import_name("builtins", each.second)); });
}

}  // namespace

nb::object listed_global(const Global& global) {
  if (is_builtins(global.module)) {
    auto found = std::ranges::find(kBuiltins, global.name, &std::pair<std::string_view, const char*>::first);
    return found == std::end(kBuiltins) ? nb::object() : import_name("builtins", found->second);
  }
  for (const Listed& each : kListed)
    if (each.name == global.name && each.module == global.module)
      return import_name(each.python_module, each.python_name);
  if (global.module == "torch") {
    if (const torch::ElementType* element = torch::find_dtype_object(global.name)) return torch_dtype(*element);
    // find_storage_class() accepts only names on the closed list.
    if (torch::find_storage_class(global.name)) return import_name("torch", std::string(global.name).c_str());
  }
  if (global.module == "torch.storage" && torch::find_storage_class(global.name))
    return import_name("torch", "UntypedStorage");
  return {};
}

template <typename... Kinds>
bool PlainMakers::all_are(const ValueMaker& maker, std::span<const Handle> args, Kinds... kinds) {
  return std::ranges::all_of(args, [&](Handle arg) { return ((maker.graph_.kind(arg) == kinds) || ...); });
}

// Returns {} if the arguments are not those of collections.OrderedDict or Counter.
nb::object PlainMakers::ordered_dict(ValueMaker& maker, std::string_view name, std::span<const Handle> args) {
  if (args.size() > 1) return {};
  nb::object created = import_name("collections", name == "Counter" ? "Counter" : "OrderedDict")();
  if (args.empty()) return created;
  if (maker.graph_.kind(args[0]) == NodeKind::dict) {
    maker.set_items(created, maker.graph_.children(args[0]));
    return created;
  }
  auto pairs = maker.elements(args[0]);
  if (!pairs || name == "Counter") return {};
  for (Handle pair : *pairs) {
    auto both = maker.elements(pair);
    if (!both || both->size() != 2) return {};
    maker.set_items(created, *both);
  }
  return created;
}

nb::object PlainMakers::collection(ValueMaker& maker, std::string_view name, std::span<const Handle> args) {
  if (name == "OrderedDict" || name == "Counter") return ordered_dict(maker, name, args);
  if (name == "defaultdict") {
    if (args.size() > 1) return {};
    nb::object factory = args.empty() ? nb::none() : maker.value(args[0]);
    if (!factory.is_none() && !is_builtin(factory) && !factory.is(import_name("collections", "OrderedDict"))) return {};
    return import_name("collections", "defaultdict")(factory);
  }
  if (name == "deque") {
    if (args.size() > 2) return {};
    auto items = args.empty() ? std::span<const Handle>() : maker.elements(args[0]);
    if (!items) return {};
    nb::object max_length = args.size() == 2 ? maker.value(args[1]) : nb::none();
    return import_name("collections", "deque")(maker.tuple(*items), max_length);
  }
  return {};
}

nb::object PlainMakers::builtin(ValueMaker& maker, const Global& global, const pickle::Object& object) {
  std::span<const Handle> args = maker.graph_.children(object.args);
  const std::string_view name = global.name;
  if (name == "set" || name == "frozenset" || name == "list" || name == "tuple") {
    auto items = args.empty() ? std::span<const Handle>() : maker.elements(args[0]);
    if (args.size() > 1 || !items) return {};
    return listed_global(global)(maker.tuple(*items));
  }
  if (name == "dict") return args.empty() ? nb::object(nb::dict()) : nb::object();
  if (name == "bytearray" || name == "bytes") return maker.bytes_like(object, name == "bytearray");
  const bool is_range = name == "slice" || name == "range" || name == "xrange";
  if (name == "complex" && args.size() == 2 && all_are(maker, args, NodeKind::real, NodeKind::integer))
    return import_name("builtins", "complex")(*maker.tuple(args));
  if (is_range && args.size() == 3 && all_are(maker, args, NodeKind::integer, NodeKind::none, NodeKind::big_integer))
    return listed_global(global)(*maker.tuple(args));
  return {};
}

nb::object PlainMakers::make(ValueMaker& maker, const Global& global, const pickle::Object& object) {
  std::span<const Handle> args = maker.graph_.children(object.args);
  const std::string_view module = global.module, name = global.name;
  auto is = [&](std::string_view listed_module, std::string_view listed) {
    return module == listed_module && name == listed;
  };
  if (module == "collections") return collection(maker, name, args);
  if (is_builtins(module)) return builtin(maker, global, object);
  if (is("_codecs", "encode")) return maker.bytes_like(object, false);
  if (is("torch", "Size") && args.size() == 1) {
    auto items = maker.elements(args[0]);
    return items ? import_name("torch", "Size")(maker.tuple(*items)) : nb::object();
  }
  if (is("torch", "device") && !args.empty() && all_are(maker, args, NodeKind::text, NodeKind::integer))
    return import_name("torch", "device")(*maker.tuple(args));
  if (is("torch.torch_version", "TorchVersion") && args.size() == 1 && all_are(maker, args, NodeKind::text))
    return import_name("torch.torch_version", "TorchVersion")(*maker.tuple(args));
  if (is("torch.serialization", "_get_layout") && args.size() == 1) {
    auto layout = maker.graph_.text(args[0]);
    if (!layout || std::ranges::find(kLayouts, *layout) == std::end(kLayouts)) return {};
    return nb::module_::import_("torch").attr(std::string(layout->substr(6)).c_str());
  }
  if (is("numpy", "dtype")) return maker.array_dtype(object);
  if ((module == "numpy.core.multiarray" || module == "numpy._core.multiarray") && name == "scalar")
    return maker.scalar(args);
  return {};
}

}  // namespace depickle::python
