// A node of the graph in words, for messages and listings.
#pragma once

#include <string>

#include "depickle/formats/pickle/graph.h"

namespace depickle::pickle {

/// "int 3", "str \"cpu\"", "dict, 12 items", "object argparse.Namespace". One line, printable, never long.
std::string describe(const Graph& graph, Handle handle);

/// A call as Python would show it: `os.system("curl …")`. Arguments are described, nested ones to `depth`.
std::string call_text(const Graph& graph, Handle object, int depth = 2);

/// The global that a call names: its callable, or the class inside an old file's persistent id ("module", class, file, source).
/// nullptr where the callable is computed.
const Global* called_global(const Graph& graph, Handle callable);

/// "module.name" of a global, printable.
std::string dotted(const Global& global);

}  // namespace depickle::pickle
