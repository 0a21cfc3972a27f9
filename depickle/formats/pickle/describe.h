// Descriptions of graph nodes, for error messages and listings.
#pragma once

#include <string>

#include "depickle/formats/pickle/graph.h"

namespace depickle::pickle {

/// Returns a short description of a value: "int 3", "str \"cpu\"", "dict, 12 items", "object argparse.Namespace".
/// The text is one line of printable characters.
std::string describe(const Graph& graph, Handle handle);

/// Returns a call in Python's notation: `os.system("curl …")`. Nested arguments are shown up to `depth`.
std::string call_text(const Graph& graph, Handle object, int depth = 2);

/// Returns the global that a call names: its callable, or the class in an old file's persistent id ("module", class,
/// file, source). Returns nullptr if the callable is computed.
const Global* called_global(const Graph& graph, Handle callable);

/// Returns "module.name" with unprintable characters escaped.
std::string dotted(const Global& global);

}  // namespace depickle::pickle
