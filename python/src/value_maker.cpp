#include "python/src/value_maker.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/pickle/describe.h"
#include "python/src/objects.h"
#include "python/src/plain_makers.h"

namespace depickle::python {

using pickle::Handle;
using pickle::kNothing;
using pickle::NodeKind;
using pickle::Op;

ValueMaker::ValueMaker(torch::Contents& contents, TensorMaker& tensors, nb::object inert)
    : contents_(contents),
      graph_(contents.graph),
      tensors_(tensors),
      inert_class_(std::move(inert)),
      builders_(contents, arena_, UINT64_MAX),
      values_(contents.graph.nodes(), nullptr) {}

ValueMaker::~ValueMaker() {
  for (PyObject* value : values_) Py_XDECREF(value);
}

nb::object ValueMaker::make() {
  nb::object root = value(graph_.root());
  while (!to_fill_.empty()) {
    Handle next = to_fill_.back();
    to_fill_.pop_back();
    fill(next);
  }
  return root;
}

nb::object ValueMaker::value(Handle handle) {
  if (PyObject* created = values_[handle]) return nb::borrow(created);
  if (depth_ >= kMaxNesting)
    throw Error(
        Code::limit, "TT03", fmt::format("tuples and arguments are nested more than {} levels deep", kMaxNesting));
  ++depth_;
  nb::object created = new_value(handle);
  --depth_;
  values_[handle] = nb::object(created).release().ptr();
  return created;
}

nb::object ValueMaker::new_value(Handle handle) {
  const NodeKind kind = graph_.kind(handle);
  switch (kind) {
    case NodeKind::none: return nb::none();
    case NodeKind::boolean: return nb::bool_(truth(handle));
    case NodeKind::integer: return take(PyLong_FromLongLong(*graph_.integer(handle)));
    case NodeKind::big_integer: return big_integer(handle);
    case NodeKind::real: return take(PyFloat_FromDouble(*graph_.real(handle)));
    case NodeKind::text: return text(handle);
    case NodeKind::bytes: {
      std::string_view bytes = depickle::text(*graph_.bytes(handle));
      auto make = graph_.made_by(handle) == Op::BYTEARRAY8 ? PyByteArray_FromStringAndSize : PyBytes_FromStringAndSize;
      return take(make(bytes.data(), std::ssize(bytes)));
    }
    case NodeKind::tuple: return tuple(graph_.children(handle));
    case NodeKind::list:
    case NodeKind::dict:
    case NodeKind::set: {
      if (kind == NodeKind::set && graph_.made_by(handle) == Op::FROZENSET)
        return take(PyFrozenSet_New(tuple(graph_.children(handle)).ptr()));
      to_fill_.push_back(handle);
      return take(kind == NodeKind::list ? PyList_New(0) : kind == NodeKind::dict ? PyDict_New() : PySet_New(nullptr));
    }
    case NodeKind::global: {
      nb::object listed = listed_global(*graph_.global(handle));
      return listed.is_valid() ? listed : inert(handle);
    }
    case NodeKind::object: return object(handle);
    case NodeKind::persistent: return persistent(handle);
    case NodeKind::extension: return inert(handle);
  }
  return nb::none();
}

nb::object ValueMaker::tuple(Args items) {
  nb::object created = take(PyTuple_New(std::ssize(items)));
  for (size_t i = 0; i < items.size(); ++i)
    PyTuple_SET_ITEM(created.ptr(), static_cast<Py_ssize_t>(i), value(items[i]).release().ptr());
  return created;
}

nb::object ValueMaker::text(Handle handle) const {
  std::string_view utf8 = *graph_.text(handle);
  return take(PyUnicode_DecodeUTF8(utf8.data(), std::ssize(utf8), "surrogatepass"));
}

nb::object ValueMaker::big_integer(Handle handle) const {
  nb::handle int_class(reinterpret_cast<PyObject*>(&PyLong_Type));
  std::string_view bytes = depickle::text(*graph_.bytes(handle));
  nb::object content = take(PyBytes_FromStringAndSize(bytes.data(), std::ssize(bytes)));
  Op op = graph_.made_by(handle);
  if (op == Op::LONG1 || op == Op::LONG4)
    return int_class.attr("from_bytes")(content, "little", nb::arg("signed") = true);
  return int_class(content.attr("rstrip")(nb::bytes("L", 1)), 0);
}

nb::object ValueMaker::persistent(Handle handle) {
  if (auto placed = contents_.tensors.find(handle); placed != contents_.tensors.end())
    return tensors_.tensor(placed->second);
  if (const torch::StorageView* view = contents_.find_view(handle)) return tensors_.typed_storage(*view);
  return inert(handle);
}

std::optional<ValueMaker::Args> ValueMaker::elements(Handle handle) const {
  switch (graph_.kind(handle)) {
    case NodeKind::list:
    case NodeKind::tuple:
    case NodeKind::set: return graph_.children(handle);
    default: return std::nullopt;
  }
}

nb::object ValueMaker::object(Handle handle) {
  const pickle::Object object = *graph_.object(handle);
  const pickle::Global* global = graph_.global(object.callable);
  nb::object created;
  if (global && object.kwargs == kNothing && graph_.kind(object.args) == NodeKind::tuple) {
    if (auto builder = torch::find_builder(*global)) created = built(*builder, graph_.children(object.args), object);
    if (!created.is_valid()) created = PlainMakers::make(*this, *global, object);
  }
  if (!created.is_valid()) created = inert(handle);
  if (object.state != kNothing || !object.items.empty() || !object.pairs.empty()) to_fill_.push_back(handle);
  return created;
}

// Returns a record of a name or object outside the list.
nb::object ValueMaker::inert(Handle handle) {
  std::string module, name;
  nb::object args = nb::none(), kwargs = nb::none();
  const pickle::Global* global = graph_.global(handle);
  auto object = graph_.object(handle);
  if (object) global = pickle::called_global(graph_, object->callable);
  if (global) {
    module = global->module;
    name = global->name;
  } else {
    name = object ? pickle::call_text(graph_, handle) : pickle::describe(graph_, handle);
  }
  if (inert_class_.is_none()) {
    throw Error(Code::unsafe, "",
        fmt::format("the file contains {}, which is not a tensor, a container or a plain value",
            global ? pickle::dotted(*global) : printable(name, 200)),
        {}, "depickle.torch.load returns such objects as inert records; nothing was imported or called");
  }
  if (object) args = value(object->args);
  if (object && object->kwargs != kNothing) kwargs = value(object->kwargs);
  return inert_class_(readable(module), readable(name), args, kwargs);
}

void ValueMaker::fill(Handle handle) {
  nb::object created = nb::borrow(values_[handle]);
  switch (graph_.kind(handle)) {
    case NodeKind::list:
      for (Handle item : graph_.children(handle))
        if (PyList_Append(created.ptr(), value(item).ptr()) != 0) throw nb::python_error();
      return;
    case NodeKind::set:
      for (Handle item : graph_.children(handle))
        if (PySet_Add(created.ptr(), value(item).ptr()) != 0) throw nb::python_error();
      return;
    case NodeKind::dict: return set_items(created, graph_.children(handle));
    default: return fill_object(created, *graph_.object(handle));
  }
}

void ValueMaker::set_items(nb::handle target, Args pairs) {
  const bool is_plain = PyDict_CheckExact(target.ptr());
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    nb::object key = value(pairs[i]), item = value(pairs[i + 1]);
    if ((is_plain ? PyDict_SetItem : PyObject_SetItem)(target.ptr(), key.ptr(), item.ptr()) != 0)
      throw nb::python_error();
  }
}

void ValueMaker::fill_object(nb::handle created, const Object& object) {
  if (!inert_class_.is_none() && created.type().is(inert_class_)) {
    auto set = [&](const char* name, const nb::object& attribute) {
      if (PyObject_GenericSetAttr(created.ptr(), nb::str(name).ptr(), attribute.ptr()) != 0) throw nb::python_error();
    };
    if (object.state != kNothing) set("state", value(object.state));
    if (!object.items.empty()) set("items", tuple(object.items));
    if (object.pairs.empty()) return;
    nb::list pairs;
    for (size_t i = 0; i + 1 < object.pairs.size(); i += 2)
      pairs.append(nb::make_tuple(value(object.pairs[i]), value(object.pairs[i + 1])));
    set("pairs", nb::tuple(pairs));
    return;
  }
  PyTypeObject* type = Py_TYPE(created.ptr());
  if (PyDict_Check(created.ptr())) {
    set_items(created, object.pairs);
    if (object.state != kNothing && !PyDict_CheckExact(created.ptr())) set_attributes(created, object.state);
  } else if (PyList_Check(created.ptr()) || (type->tp_name && std::string_view(type->tp_name) == "collections.deque")) {
    for (Handle item : object.items) created.attr("append")(value(item));
  } else if (PySet_Check(created.ptr())) {
    for (Handle item : object.items) created.attr("add")(value(item));
  }
  // The state of a tensor, an array or a dtype was used when it was created.
}

// `state` is {attribute: value}, or a tuple of that and {slot: value}. The attributes are stored in the object's
// __dict__, without calls to its class.
void ValueMaker::set_attributes(nb::handle object, Handle state) {
  Args both = graph_.tuple(state, 2);
  Handle attributes = both.empty() ? state : both[0];
  if (graph_.kind(attributes) != NodeKind::dict) return;
  nb::object dictionary = take(PyObject_GenericGetDict(object.ptr(), nullptr));
  set_items(dictionary, graph_.children(attributes));
}

}  // namespace depickle::python
