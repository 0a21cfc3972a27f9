"""Measures the memory of a conversion while it runs, for several checkpoints; measures no time."""
import machine
from sides import PROGRAM

LIMIT_MIB = 64
CASES = {
    "large.bin": "4.5 GiB, one tensor",
    "transposed.bin": "4.5 GiB, one tensor, transposed",
    "many.bin": "100,000 tensors",
}


def rows(files):
    """Yields (case, peak of RssAnon, peak of RSS), in MiB."""
    for name, title in CASES.items():
        receipt = ("--receipt", files[name].with_name("out-receipt.json"))
        for options, suffix in (((), ""), (receipt, ", with a receipt")):
            if options and name != "many.bin":
                continue
            output = files[name].with_name("out-memory")
            command = [PROGRAM, "convert", files[name], "-o", output, "--force", "-q", *options]
            resident_mib, anonymous_mib = machine.peaks_mib(command)
            output.unlink()
            yield title + suffix, anonymous_mib, resident_mib
