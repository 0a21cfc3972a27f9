"""install() and uninstall() replace `safetensors` by depickle.safetensors, for later and for earlier imports.

test_real_loaders.py has tests with the libraries that import `safetensors`.
"""

import textwrap

import fresh

NAMES = """
import importlib, sys
NAMES = ["safetensors", "safetensors.torch", "safetensors.numpy", "safetensors._safetensors_rust"]
def is_ours():
    return {name: sys.modules.get(name) is sys.modules.get("depickle." + name) for name in NAMES}
"""

WITHOUT_UPSTREAM = """
import importlib.machinery, importlib.metadata, sys
_find = importlib.machinery.PathFinder.find_spec
importlib.machinery.PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None: None if name == "safetensors" else _find(name, path, target))
_distributions = importlib.metadata.MetadataPathFinder.find_distributions
importlib.metadata.MetadataPathFinder.find_distributions = classmethod(
    lambda cls, context=importlib.metadata.DistributionFinder.Context():
        (d for d in _distributions(context) if d.metadata["Name"] != "safetensors"))
"""


def run(code, *arguments, before=""):
    return fresh.fork(before + textwrap.dedent(code), *arguments).stdout


def test_install_imports_no_framework():
    fresh.run("""
        import sys
        import depickle.safetensors
        depickle.safetensors.install()
        import safetensors
        assert safetensors is depickle.safetensors
        assert "torch" not in sys.modules and "numpy" not in sys.modules, "a framework was imported"
    """)


def test_later_imports_get_our_modules():
    run("""
        import depickle.safetensors
        depickle.safetensors.install()
        import safetensors
        from safetensors import safe_open, torch
        from safetensors.torch import load_file
        import safetensors.numpy, safetensors._safetensors_rust
        assert all(is_ours().values()), is_ours()
        assert safetensors is depickle.safetensors and safetensors.torch is depickle.safetensors.torch is torch
        assert safe_open is depickle.safetensors.safe_open and load_file is depickle.safetensors.torch.load_file
        assert safetensors.torch.__spec__.name == "depickle.safetensors.torch"
        assert "_safetensors_rust" not in open("/proc/self/maps").read()
    """, before=NAMES)


def test_names_imported_before_are_replaced():
    run("""
        import types
        import safetensors, safetensors.torch as theirs, safetensors.numpy
        from safetensors import SafetensorError, TensorSpec, safe_open
        from safetensors.torch import load_file, save_file as renamed
        other = types.ModuleType("other")
        other.__dict__.update(safetensors=safetensors, load=load_file, SIZES=theirs._SIZE, text="safetensors")
        sys.modules["other"] = other
        upstream, upstreams = safetensors.__dict__, dict(safetensors=safetensors, load=load_file, safe_open=safe_open)
        before = dict(sys.modules), list(sys.meta_path), dict(globals()), dict(other.__dict__), dict(upstream)

        import depickle.safetensors.torch
        depickle.safetensors.install()
        ours = depickle.safetensors
        assert all(is_ours().values()), is_ours()
        assert safetensors is ours and theirs is ours.torch
        assert safe_open is ours.safe_open and TensorSpec is ours.TensorSpec
        assert load_file is other.load is ours.torch.load_file and renamed is ours.torch.save_file
        assert other.safetensors is ours and other.text == "safetensors" and other.SIZES == ours.torch._SIZE
        assert upstreams["load"] is not load_file, "a dict that is not a module was changed"

        depickle.safetensors.uninstall()
        now = dict(sys.modules)
        assert {name: now[name] for name in before[0]} == before[0] and list(sys.meta_path) == before[1]
        assert [name for name in now if name.startswith("safetensors") and name not in before[0]] == []
        changed = [name for name, value in before[2].items() if globals()[name] is not value]
        assert changed == [] and dict(other.__dict__) == before[3] and upstream == before[4], changed
        assert load_file is theirs.load_file is not depickle.safetensors.torch.load_file
    """, before=NAMES)


def test_uninstall_restores_the_import_of_upstream():
    run("""
        import depickle.safetensors
        depickle.safetensors.install()
        import safetensors.torch
        depickle.safetensors.uninstall()
        assert not [name for name in sys.modules if name.startswith("safetensors")]
        import safetensors.torch
        assert safetensors is not depickle.safetensors and safetensors.torch.__name__ == "safetensors.torch"
        assert "_safetensors_rust" in open("/proc/self/maps").read()
    """, before=NAMES)


def test_repeated_install_and_uninstall():
    run("""
        import depickle.safetensors
        before = list(sys.meta_path)
        depickle.safetensors.uninstall()
        for _ in range(3):
            depickle.safetensors.install()
            depickle.safetensors.install()
            import safetensors
            assert sys.modules["safetensors"] is depickle.safetensors
            depickle.safetensors.uninstall()
            assert sys.meta_path == before and "safetensors" not in sys.modules
            depickle.safetensors.uninstall()
    """, before=NAMES)


def test_context_manager():
    run("""
        import depickle.safetensors, safetensors as theirs
        upstream = theirs.safe_open
        try:
            with depickle.safetensors.install():
                with depickle.safetensors.install():
                    pass
                assert theirs.safe_open is depickle.safetensors.safe_open, "the inner context had an effect"
                raise KeyError
        except KeyError:
            pass
        assert theirs.safe_open is upstream
    """, before=NAMES)


CATCH = """
        import pickle
        import depickle.safetensors
        from depickle.safetensors.torch import load
        broken = b"12345678" * 3
        def caught_by(kind):
            try:
                load(broken)
            except kind as error:
                return type(error)
"""


def test_except_with_upstreams_error_catches_ours():
    run(CATCH + """
        import safetensors, safetensors.torch
        from safetensors import SafetensorError
        upstream, held = safetensors.SafetensorError, (safetensors.SafetensorError, OSError)
        functions = {"load": safetensors.torch.load}
        own = depickle.safetensors.SafetensorError
        bases = own.__bases__
        depickle.safetensors.install()
        for kind in SafetensorError, held, safetensors.SafetensorError:
            assert caught_by(kind) is own
        assert safetensors.SafetensorError is own and issubclass(own, upstream)
        try:
            functions["load"](broken)
        except SafetensorError as error:  # a reference that install did not replace raises upstream's own error
            assert type(error) is upstream
        assert type(pickle.loads(pickle.dumps(own("text")))) is own
        depickle.safetensors.uninstall()
        assert own.__bases__ == bases and not issubclass(own, upstream)
        try:
            caught_by(upstream)
        except own:
            pass
        else:
            raise AssertionError
    """)


def test_without_upstream():
    run("""
        import importlib.util
        assert importlib.util.find_spec("safetensors") is None
        import depickle.safetensors
        assert not [d for d in importlib.metadata.distributions() if d.metadata["Name"] == "safetensors"]
        with depickle.safetensors.install():
            assert importlib.util.find_spec("safetensors") and importlib.util.find_spec("safetensors.torch")
            assert importlib.metadata.version("safetensors") == "0.8.0"
            assert "safetensors" in importlib.metadata.packages_distributions()["safetensors"]
            import safetensors.numpy
            assert safetensors.numpy is depickle.safetensors.numpy
            import transformers.modeling_utils
            assert transformers.modeling_utils.safe_open is depickle.safetensors.safe_open
        assert not [finder for finder in sys.meta_path if "depickle" in type(finder).__module__]
        for wanted in "import safetensors", "importlib.metadata.version('safetensors')":
            try:
                exec(wanted)
            except ImportError:
                pass
            else:
                raise AssertionError(wanted)
    """, before=WITHOUT_UPSTREAM)


def test_metadata_of_the_real_package_is_preferred():
    run("""
        import importlib.metadata
        import depickle.safetensors
        files = importlib.metadata.distribution("safetensors").files
        depickle.safetensors.install()
        assert importlib.metadata.version("safetensors") == "0.8.0"
        assert importlib.metadata.distribution("safetensors").files == files and files
    """)


def test_a_missing_framework_raises_import_error():
    run("""
        import sys
        sys.modules["jax"] = None
        import depickle.safetensors
        depickle.safetensors.install()
        for wanted, missing in ("safetensors.flax", "jax"), ("safetensors.nothing", "safetensors.nothing"):
            try:
                __import__(wanted)
            except ImportError as error:
                assert missing in str(error), error
            else:
                raise AssertionError(wanted)
            assert wanted not in sys.modules
        import safetensors
        assert safetensors is depickle.safetensors
    """)


def test_lazy_modules_are_not_loaded():
    run("""
        import importlib.util, sys
        spec = importlib.util.find_spec("colorsys")
        spec.loader = importlib.util.LazyLoader(spec.loader)
        module = importlib.util.module_from_spec(spec)
        sys.modules["colorsys"] = module
        spec.loader.exec_module(module)
        sys.modules["odd"] = object()
        import safetensors, depickle.safetensors
        depickle.safetensors.install()
        assert type(module).__name__ == "_LazyModule"
    """)


def test_threads_install_and_import_concurrently():
    run("""
        import sys, threading
        import depickle.safetensors, safetensors.numpy as theirs
        upstream = theirs.load
        failed, barrier = [], threading.Barrier(8)
        def work(number):
            try:
                barrier.wait()
                for _ in range(50):
                    if number % 2:
                        with depickle.safetensors.install():
                            pass
                    else:
                        import safetensors.numpy
                        safetensors.numpy.save({})
            except BaseException as error:
                failed.append(error)
        threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        depickle.safetensors.uninstall()
        assert failed == [] and theirs.load is upstream, failed
    """)
