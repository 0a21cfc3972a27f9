// A node of the graph in words, for messages and listings.
#pragma once

#include <string>

#include "depickle/formats/pickle/graph.h"

namespace depickle::torch {

/// "int 3", "str \"cpu\"", "dict, 12 items", "object argparse.Namespace". One line, printable, never long.
std::string describe(const pickle::Graph& graph, pickle::Handle handle);

/// A call as Python would show it: `os.system("curl …")`. Arguments are described, nested ones to `depth`.
std::string call_text(const pickle::Graph& graph, pickle::Handle object, int depth = 2);

/// The global that a call names: its callable, or the class inside an old file's persistent id ("module", class, file, source).
/// nullptr where the callable is computed.
const pickle::Global* called_global(const pickle::Graph& graph, pickle::Handle callable);

/// "module.name" of a global, printable.
std::string dotted(const pickle::Global& global);

}  // namespace depickle::torch
