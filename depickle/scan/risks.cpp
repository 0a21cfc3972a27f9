#include "depickle/scan/risks.h"

namespace depickle::scan {
namespace {

struct Danger {
  std::string_view module;  // also for the modules inside it
  std::string_view name;    // empty: every name
  std::string_view effect;
};
constexpr Danger kDangers[] = {
    {"builtins", "eval", "runs Python code"},
    {"builtins", "exec", "runs Python code"},
    {"builtins", "compile", "compiles Python code"},
    {"builtins", "open", "opens a file"},
    {"builtins", "getattr", "can access any attribute, and so any function"},
    {"builtins", "setattr", "modifies existing code"},
    {"builtins", "__import__", "can import any module"},
    {"builtins", "apply", "can call any function"},
    {"builtins", "input", "reads user input, and in Python 2 runs it"},
    {"os", "", "runs commands and changes files"},
    {"posix", "", "runs commands and changes files"},
    {"nt", "", "runs commands and changes files"},
    {"subprocess", "", "runs a command"},
    {"commands", "", "runs a command"},
    {"pty", "", "runs a command"},
    {"runpy", "", "runs Python code"},
    {"code", "", "runs Python code"},
    {"codeop", "", "compiles Python code"},
    {"timeit", "", "runs Python code"},
    {"pdb", "", "runs Python code"},
    {"bdb", "", "runs Python code"},
    {"trace", "", "runs Python code"},
    {"profile", "", "runs Python code"},
    {"cProfile", "", "runs Python code"},
    {"doctest", "", "runs Python code"},
    {"pydoc", "", "runs a command"},
    {"idlelib", "", "runs Python code"},
    {"lib2to3", "", "runs Python code"},
    {"sys", "", "modifies the interpreter"},
    {"importlib", "", "can import any module"},
    {"imp", "", "can import any module"},
    {"pkgutil", "", "can access any function"},
    {"operator", "", "can access any attribute, and so any function"},
    {"functools", "partial", "wraps a call of any function"},
    {"types", "CodeType", "creates Python code"},
    {"types", "FunctionType", "creates a function from Python code"},
    {"marshal", "", "creates Python code"},
    {"socket", "", "accesses the network"},
    {"ssl", "", "accesses the network"},
    {"http", "", "accesses the network"},
    {"httplib", "", "accesses the network"},
    {"urllib", "", "accesses the network"},
    {"urllib2", "", "accesses the network"},
    {"requests", "", "accesses the network"},
    {"aiohttp", "", "accesses the network"},
    {"ftplib", "", "accesses the network"},
    {"smtplib", "", "accesses the network"},
    {"webbrowser", "", "opens a web page"},
    {"shutil", "", "changes files"},
    {"tempfile", "", "creates files"},
    {"io", "", "opens files"},
    {"_io", "", "opens files"},
    {"pathlib", "", "refers to a path on the machine that wrote the file"},
    {"pickle", "", "unpickles more data"},
    {"_pickle", "", "unpickles more data"},
    {"cPickle", "", "unpickles more data"},
    {"dill", "", "unpickles more data, with code"},
    {"cloudpickle", "", "unpickles more data, with code"},
    {"joblib", "", "unpickles more data"},
    {"pip", "", "installs packages"},
    {"ensurepip", "", "installs packages"},
    {"ctypes", "", "calls machine code"},
    {"multiprocessing", "", "starts processes"},
    {"asyncio", "", "starts processes"},
    {"torch.load", "", "unpickles more data"},
    {"torch", "load", "unpickles more data"},
    {"torch.hub", "", "downloads and runs code"},
    {"torch.jit", "", "runs TorchScript"},
    {"numpy.f2py", "", "runs Python code"},
    {"numpy.testing", "", "runs Python code"},
    {"torch.utils", "", "may run Python code"},
    {"torch.nn", "", "creates a torch module, whose class is code"},
    {"__main__", "", "creates an object of the author's own class"},
};

bool is_inside(std::string_view module, std::string_view parent) {
  return module == parent || (module.starts_with(parent) && module[parent.size()] == '.');
}

}  // namespace

std::string_view describe_risk(const pickle::Global& global) noexcept {
  std::string_view module = global.module == "__builtin__" ? "builtins" : global.module;
  for (const Danger& danger : kDangers) {
    if (is_inside(module, danger.module) && (danger.name.empty() || danger.name == global.name)) return danger.effect;
  }
  return "is not known to depickle";
}

}  // namespace depickle::scan
