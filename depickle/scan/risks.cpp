#include "depickle/scan/risks.h"

namespace depickle::scan {
namespace {

// Of these modules every name is meant: `module` itself or a module inside it.
struct Danger {
  std::string_view module, name, words;  ///< name empty: all
};
constexpr Danger kDangers[] = {
    {"builtins", "eval", "runs Python code"},
    {"builtins", "exec", "runs Python code"},
    {"builtins", "compile", "compiles Python code"},
    {"builtins", "open", "opens a file"},
    {"builtins", "getattr", "reaches any attribute, and so any function"},
    {"builtins", "setattr", "changes other code"},
    {"builtins", "__import__", "imports any module"},
    {"builtins", "apply", "calls any function"},
    {"builtins", "input", "reads, and in Python 2 runs, what is typed"},
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
    {"sys", "", "changes the interpreter"},
    {"importlib", "", "imports any module"},
    {"imp", "", "imports any module"},
    {"pkgutil", "", "reaches any function"},
    {"operator", "", "reaches any attribute, and so any function"},
    {"functools", "partial", "wraps a call of another function"},
    {"types", "CodeType", "makes Python code"},
    {"types", "FunctionType", "makes a function of Python code"},
    {"marshal", "", "makes Python code"},
    {"socket", "", "talks to the network"},
    {"ssl", "", "talks to the network"},
    {"http", "", "talks to the network"},
    {"httplib", "", "talks to the network"},
    {"urllib", "", "talks to the network"},
    {"urllib2", "", "talks to the network"},
    {"requests", "", "talks to the network"},
    {"aiohttp", "", "talks to the network"},
    {"ftplib", "", "talks to the network"},
    {"smtplib", "", "talks to the network"},
    {"webbrowser", "", "opens a web page"},
    {"shutil", "", "changes files"},
    {"tempfile", "", "makes files"},
    {"io", "", "opens files"},
    {"_io", "", "opens files"},
    {"pathlib", "", "names a path of the machine that wrote the file"},
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
    {"torch.nn", "", "makes a module of torch; its class is code"},
    {"__main__", "", "makes an object of the author's own code"},
};

bool inside(std::string_view module, std::string_view parent) {
  return module == parent || (module.starts_with(parent) && module[parent.size()] == '.');
}

}  // namespace

std::string_view describe_risk(const pickle::Global& global) noexcept {
  std::string_view module = global.module == "__builtin__" ? "builtins" : global.module;
  for (const Danger& danger : kDangers) {
    if (inside(module, danger.module) && (danger.name.empty() || danger.name == global.name)) return danger.words;
  }
  return "is not known to depickle";
}

}  // namespace depickle::scan
