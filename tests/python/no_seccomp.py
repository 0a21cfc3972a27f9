"""Runs a command as on a kernel without seccomp: the calls that load a filter fail with EINVAL.

Usage: no_seccomp.py COMMAND [ARGUMENT...]
"""
import ctypes
import errno
import os
import sys

PREFIX = (sys.executable, __file__)
SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, SCMP_CMP_EQ, PR_SET_SECCOMP = 0x7FFF0000, 0x00050000, 4, 22


class Condition(ctypes.Structure):
    """struct scmp_arg_cmp"""

    _fields_ = [
        ("argument", ctypes.c_uint),
        ("comparison", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    ]


def refuse_filters():
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(SCMP_ACT_ALLOW))
    is_set_seccomp = Condition(0, SCMP_CMP_EQ, PR_SET_SECCOMP, 0)
    for name, conditions in [(b"seccomp", []), (b"prctl", [is_set_seccomp])]:
        call = library.seccomp_syscall_resolve_name(name)
        array = (Condition * len(conditions))(*conditions)
        action = SCMP_ACT_ERRNO | errno.EINVAL
        assert library.seccomp_rule_add_array(context, action, call, len(conditions), array) == 0
    assert library.seccomp_load(context) == 0


if __name__ == "__main__":
    refuse_filters()
    os.execvp(sys.argv[1], sys.argv[1:])
