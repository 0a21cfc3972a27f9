#include "depickle/scan/risks.h"

namespace depickle::scan {
namespace {

struct KnownGlobal {
  std::string_view module;  // in kDangers and kUnknown, also the modules inside it
  std::string_view name;    // empty: every name
  std::string_view effect;
};
constexpr KnownGlobal kDangers[] = {
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
    {"io", "open", "opens a file"},
    {"io", "FileIO", "opens a file"},
    {"_io", "open", "opens a file"},
    {"_io", "FileIO", "opens a file"},
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
    {"torch.utils", "", "may run Python code"},
    {"numpy.f2py", "", "runs Python code"},
    {"numpy.testing", "", "runs Python code"},
};

// Classes that are common in checkpoints. Creating one runs the code of its library, which depickle does not know.
constexpr KnownGlobal kUnknown[] = {
    {"torch", "", "belongs to torch, but is not known to depickle"},
    {"torch.nn", "", "creates a torch module, whose class is code"},
    {"__torch__", "", "is a TorchScript class, whose code is in the archive"},
    {"__main__", "", "creates an object of the author's own class"},
};

constexpr std::string_view kOnlyData = "only stores data";
constexpr KnownGlobal kData[] = {
    {"argparse", "Namespace", kOnlyData},
    {"types", "SimpleNamespace", kOnlyData},
    {"pathlib", "Path", kOnlyData},
    {"pathlib", "PurePath", kOnlyData},
    {"pathlib", "PosixPath", kOnlyData},
    {"pathlib", "PurePosixPath", kOnlyData},
    {"pathlib", "WindowsPath", kOnlyData},
    {"pathlib", "PureWindowsPath", kOnlyData},
    {"pathlib._local", "PosixPath", kOnlyData},
    {"pathlib._local", "PurePosixPath", kOnlyData},
    {"pathlib._local", "WindowsPath", kOnlyData},
    {"pathlib._local", "PureWindowsPath", kOnlyData},
    {"datetime", "datetime", kOnlyData},
    {"datetime", "date", kOnlyData},
    {"datetime", "time", kOnlyData},
    {"datetime", "timedelta", kOnlyData},
    {"datetime", "timezone", kOnlyData},
    {"decimal", "Decimal", kOnlyData},
    {"fractions", "Fraction", kOnlyData},
    {"uuid", "UUID", kOnlyData},
    {"uuid", "SafeUUID", kOnlyData},
    {"io", "BytesIO", kOnlyData},
    {"_io", "BytesIO", kOnlyData},
    {"io", "StringIO", kOnlyData},
    {"_io", "StringIO", kOnlyData},
    {"torch.jit._pickle", "restore_type_tag", "returns its argument"},
    {"torch.jit._pickle", "build_intlist", "returns its argument"},
    {"torch.jit._pickle", "build_tensorlist", "returns its argument"},
    {"torch.jit._pickle", "build_doublelist", "returns its argument"},
    {"torch.jit._pickle", "build_boollist", "returns its argument"},
    {"numpy.random._pickle", "__randomstate_ctor", kOnlyData},
    {"numpy.random._pickle", "__generator_ctor", kOnlyData},
    {"numpy.random._pickle", "__bit_generator_ctor", kOnlyData},
    {"numpy.random._mt19937", "MT19937", kOnlyData},
    {"numpy.random._pcg64", "PCG64", kOnlyData},
    {"transformers.training_args", "TrainingArguments", kOnlyData},
    {"transformers.training_args", "OptimizerNames", kOnlyData},
    {"transformers.training_args", "ParallelMode", kOnlyData},
    {"transformers.training_args_seq2seq", "Seq2SeqTrainingArguments", kOnlyData},
    {"transformers.trainer_utils", "IntervalStrategy", kOnlyData},
    {"transformers.trainer_utils", "SaveStrategy", kOnlyData},
    {"transformers.trainer_utils", "EvaluationStrategy", kOnlyData},
    {"transformers.trainer_utils", "SchedulerType", kOnlyData},
    {"transformers.trainer_utils", "HubStrategy", kOnlyData},
    {"transformers.trainer_utils", "FSDPOption", kOnlyData},
    {"transformers.trainer_utils", "ShardedDDPOption", kOnlyData},
    {"transformers.trainer_pt_utils", "AcceleratorConfig", kOnlyData},
    {"transformers.debug_utils", "DebugOption", kOnlyData},
    {"accelerate.state", "PartialState", kOnlyData},
    {"accelerate.state", "AcceleratorState", kOnlyData},
    {"accelerate.utils.dataclasses", "DistributedType", kOnlyData},
    {"accelerate.utils.dataclasses", "DeepSpeedPlugin", kOnlyData},
    {"accelerate.utils.dataclasses", "DynamoBackend", kOnlyData},
    {"accelerate.utils.dataclasses", "PrecisionType", kOnlyData},
};

bool is_inside(std::string_view module, std::string_view parent) {
  return module == parent || (module.starts_with(parent) && module[parent.size()] == '.');
}

}  // namespace

Risk risk_of(const pickle::Global& global) noexcept {
  const std::string_view module = global.module == "__builtin__" ? "builtins" : global.module;
  for (const KnownGlobal& known : kData)
    if (known.module == module && known.name == global.name) return {Grade::inert, known.effect};
  auto matches = [&](const KnownGlobal& known) {
    return is_inside(module, known.module) && (known.name.empty() || known.name == global.name);
  };
  for (const KnownGlobal& known : kDangers)
    if (matches(known)) return {Grade::executes, known.effect};
  // A dotted name is a chain of attributes: os and sys are attributes of most modules.
  if (global.name.find('.') != global.name.npos)
    return {Grade::executes, "can access any attribute of a module, and so any function"};
  for (const KnownGlobal& known : kUnknown)
    if (matches(known)) return {Grade::unknown, known.effect};
  return {Grade::unknown, "is not known to depickle"};
}

}  // namespace depickle::scan
