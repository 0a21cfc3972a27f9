"""How much memory of its own a conversion takes, whatever the checkpoint is like. Looked at while it runs; no time is measured."""
import machine
from sides import PROGRAM

LIMIT_MIB = 64
CASES = {
    "large.bin": "4.5 GiB, one tensor",
    "transposed.bin": "4.5 GiB, one tensor, transposed",
    "many.bin": "100,000 tensors",
}


def rows(files):
    """(what, peak of RssAnon, peak of RSS), in MiB."""
    for name, title in CASES.items():
        for options, suffix in (((), ""), (("--receipt", files[name].with_name("out-receipt.json")), ", with a receipt")):
            if options and name != "many.bin":
                continue
            output = files[name].with_name("out-memory")
            resident_mib, anonymous_mib = machine.peaks_mib([PROGRAM, "convert", files[name], "-o", output, "--force", "-q", *options])
            output.unlink()
            yield title + suffix, anonymous_mib, resident_mib
