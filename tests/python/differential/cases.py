"""Draws hostile files: every spelling of opcodes, numbers, names and containers that a loader may accept.

`draw(seed)` returns (kind, bytes). The payload is always a call of posix.getcwd, which would harm nobody; another name
stands for a class that only some reader sees.
"""
import io
import random
import struct
import zipfile
import zlib

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
TAR_MEMBERS = ["pickle", "storages", "tensors", "sys_info"]


class Draw:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def one(self, *choices):
        return self.random.choice(choices)

    def chance(self, probability):
        return self.random.random() < probability

    # Values, as opcodes.

    def integer(self, value):
        size = max(1, (value.bit_length() + 8) // 8)
        data = value.to_bytes(size + self.one(0, 0, 1, 3), "little", signed=True)
        digits = str(value)
        choices = [
            b"\x8a" + bytes([len(data)]) + data,
            b"\x8b" + struct.pack("<i", len(data)) + data,
            f"I{digits}\n".encode(),
            f"L{digits}L\n".encode(),
            f"L{digits}\n".encode(),
            f"I{hex(value)}\n".encode(),
            f"L {digits} \n".encode(),
            f"I{digits}\0{self.one('', 'x', 'junk.')}\n".encode(),
            f"L{digits}\0{self.one('', 'x')}\n".encode(),
            b"cbuiltins\nint\n(" + self.text(digits) + b"tR",
            b"(" + self.text(digits) + b"ibuiltins\nint\n",
            b"(cbuiltins\nint\n" + self.text(digits) + b"o",
            b"cbuiltins\nint\n(" + self.text(digits) + b"t\x81",
        ]
        if value < 2**31:
            choices += [b"J" + struct.pack("<i", value), b"F%d.0\n" % value, b"F%d\0\n" % value,
                        b"G" + struct.pack(">d", value), b"F%de0\n" % value]
        if value < 2**16:
            choices += [b"M" + struct.pack("<H", value)]
        return self.one(*choices)

    def text(self, value):
        data = value.encode()
        choices = [
            b"X" + struct.pack("<I", len(data)) + data,
            b"\x8d" + struct.pack("<Q", len(data)) + data,
            b"V" + data + b"\n",
            b"S'" + data + b"'\n",
            b'S"' + data + b'"\n',
            b"V" + b"".join(b"\\u%04x" % byte for byte in data) + b"\n",
            b"S'" + b"".join(b"\\x%02x" % byte for byte in data) + b"'\n",
            b"T" + struct.pack("<i", len(data)) + data,
        ]
        if len(data) < 256:
            choices += [b"\x8c" + bytes([len(data)]) + data, b"U" + bytes([len(data)]) + data]
        return self.one(*choices)

    def noise(self):
        """Opcodes without an effect on the stack."""
        index = self.random.randrange(300)
        return self.one(
            b"", b"", b"", b"N0", b"(1", b"K\x01q\x050", b"N2" + b"00", b"]" + b"p%d\n0" % index, b"Np%d\0x\n0" % index,
            b"N\x940", b"\x80\x04", b"Nr" + struct.pack("<I", index) + b"0", b"F1\0\n0", b"I7\0y\n0", b"I01\n0",
            b"\x95" + struct.pack("<Q", self.one(0, 1, 5)),
        )

    def payload(self):
        module, name = self.one(
            ("posix", "getcwd"), ("posix", "getcwd"), ("os", "path.os." * self.one(1, 3, 26) + "getcwd"),
            ("builtins", "getattr"), ("collections", "abc.sys.getrefcount"),
        )
        arguments = b"".join(self.text("x") for _ in range(self.one(0, 0, 1)))
        named = self.one(
            f"c{module}\n{name}\n".encode(),
            self.text(module) + self.noise() + self.text(name) + b"\x93",
        )
        return self.noise() + self.one(
            named,
            named + b"(" + arguments + b"tR",
            named + b")R",
            b"(" + named + arguments + b"o",
            b"(" + arguments + f"i{module}\n{name}\n".encode(),
            named + b")\x81",
            named + b")}\x92",
            named + b"}b",
            b"]" + named + b"a",
            b"}" + self.text("k") + named + b"s",
            b"(" + named + b"l",
        )

    def honest(self):
        return self.noise() + self.one(
            b"N", b"}", b"]", b"K\x05", b"}" + self.text("epoch") + b"K\x01s", b"ccollections\nOrderedDict\n)R",
            self.integer(self.one(7, VERSION, MAGIC)), b"(" + self.text("a") + b"t", b"\x88",
        )

    def pickle(self, value=None):
        body = (self.honest() if value is None else value) + self.noise() + b"."
        start = self.one(b"", b"", b"\x80\x02", b"\x80\x02", b"\x80\x04", b"\x80\x05")
        frame = self.one(None, None, None, 0, 0, -1, 1, 100, 1 << 40)
        if frame is not None:
            start += b"\x95" + struct.pack("<Q", max(0, len(body) + frame))
        return start + body

    # Containers.

    def legacy(self):
        pickles = [
            self.pickle(self.integer(MAGIC)),
            self.pickle(self.integer(VERSION)),
            self.pickle(b"}"),
            self.pickle(),
            self.pickle(b"]"),
        ]
        at = self.random.randrange(5)
        value = self.payload()
        if at < 2 and self.chance(0.7):
            value = value + b"0" + self.integer(MAGIC if at == 0 else VERSION)
        pickles[at] = self.pickle(value)
        return b"".join(pickles) + self.one(b"", b"\0" * 8, self.pickle(self.payload()))

    def number(self, value, size):
        digits = b"%o" % value
        return self.one(
            b"%0*o\0" % (size - 1, value), b"%0*o\0" % (size - 1, value), b"%0*o " % (size - 1, value),
            (b" " + digits).ljust(size, b"\0"), (b"0o" + digits).ljust(size, b" "),
            b"\x80" + value.to_bytes(size - 1, "big"), digits.ljust(size, b"\0"),
        )[:size].ljust(size, b"\0")

    def tar_member(self, name, data, kind=b"0"):
        head = bytearray(512)
        head[: len(name)] = name
        head[100:108], head[108:116], head[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
        head[124:136], head[136:148] = self.number(len(data), 12), self.number(0, 12)
        head[148:156], head[156:157] = b" " * 8, kind
        head[257:265] = self.one(b"ustar\x0000", b"ustar  \0", bytes(8), b"ustar\x0000")
        if self.chance(0.1):
            head[345:348] = b"dir"
        if self.chance(0.1):
            head[300:302] = b"\xff\xfe"
        total = sum(head)
        signed = total - 256 * sum(byte > 127 for byte in head)
        total = self.one(total, total, signed)
        head[148:156] = self.one(b"%06o\0 " % total, b"%06o\0 " % total, self.number(total, 8))
        return bytes(head) + data + bytes(-len(data) % 512)

    def tar(self):
        first = self.one(b"\x80\x02N.", b"N.", b"}.", b"sys_info", b"pickle", b"storages", b"x")
        members = [(first, b"")] if self.chance(0.6) else []
        storages = self.pickle(self.payload())
        if self.chance(0.4):
            storages = self.pickle(b"K\0") + self.pickle(b"]" if self.chance(0.5) else self.payload())
        contents = {"storages": storages, "tensors": self.pickle(b"K\0"), "pickle": self.pickle(self.payload()),
                    "sys_info": b"}."}
        names = TAR_MEMBERS[:]
        self.random.shuffle(names)
        for name in names:
            if self.chance(0.2):
                members.append((name.encode(), b"K\0.].\0"))  # Python reads the last member of a name
            members.append((name.encode(), contents[name]))
        out = b""
        for name, data in members:
            if self.chance(0.15):
                record = b"path=%s\n" % self.one(b"storages", b"pickle", name)
                record = b"%d " % (len(record) + 3) + record
                out += self.tar_member(b"././@PaxHeader", record, b"x") + self.tar_member(b"other", data)
            elif self.chance(0.1):
                out += self.tar_member(b"././@LongLink", name + b"\0", b"L") + self.tar_member(b"other", data)
            else:
                out += self.tar_member(name, data, self.one(b"0", b"0", b"\0", b"7", b"1"))
        return out + self.one(bytes(1024), b"", bytes(512) + self.tar_member(b"storages", storages) + bytes(1024))

    def zip(self):
        out = io.BytesIO()
        root = self.one("archive", "archive", "m", "ARCHIVE")
        entries = {f"{root}/{self.one('data.pkl', 'data.pkl', 'DATA.PKL', 'Data.pkl')}": self.pickle(
            self.one(self.payload(), b"}", b"ccollections\nOrderedDict\n)R")), f"{root}/version": b"3\n"}
        if self.chance(0.3):
            entries[f"{root}/{self.one('code', 'CODE', 'Code')}/collections.py"] = b"class deque(Module): ..."
        if self.chance(0.3):
            name = self.one("constants.pkl", "CONSTANTS.PKL")
            entries[f"{root}/{name}"] = self.pickle(self.one(b")", self.payload()))
        if self.chance(0.3):
            entries[f"{root}/{self.one('x.npy', 'data/0', 'extra')}"] = self.npy()
        if self.chance(0.2):
            entries[f"{root}/data/1"] = self.pickle(self.payload())
        with zipfile.ZipFile(out, "w") as archive:
            for name, data in entries.items():
                archive.writestr(name, data, self.one(zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        data = out.getvalue()
        return self.one(data, data, data, b"junk" + data, data + self.pickle(self.payload()), self.legacy() + data)

    def npy(self):
        descr = self.one(
            "'|O'", "'O'", "'object'", "'\\x4f'", "'obj' 'ect'", "[('a', '|O')]", "'<f4'", "'O8'", "'i4,O'"
        )
        header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': ({self.one('', '1,')}), }}"
        header = (header + " " * self.one(0, 5, 40) + "\n").encode()
        version, size = self.one((b"\1\0", "<H"), (b"\2\0", "<I"), (b"\3\0", "<I"))
        data = self.pickle(self.one(self.payload(), b"]"))
        return b"\x93NUMPY" + version + struct.pack(size, len(header)) + header + data

    def npz(self):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name in self.random.sample(["a.npy", "b.npy", "c", "d.NPY", "arr_0.npy"], 2):
                archive.writestr(name, self.npy(), self.one(zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        return out.getvalue()

    def safetensors(self):
        """A file whose length bytes are opcodes, and whose header contains a line of pickle."""
        first = self.one(b"F1\0", b"I7\0", b"L7\0", b"N.", b"\x80\x02", b"]", b"}")
        length = int.from_bytes(first.ljust(8, b"\0")[:3] + bytes(5), "little")
        if not 8 < length <= 4_000_000:
            length = 0x3130
        line = b'{"__metadata__":{"a":"b"},\n'
        value = self.payload().replace(b'"', b"'")
        header = self.one(line, b"{\n") + self.one(b'"', b"") + value + b"."
        return struct.pack("<Q", length) + header.ljust(length, b" ") + self.one(b"", self.pickle(self.payload()))

    def bare(self):
        parts = [self.pickle(), self.pickle(self.payload())]
        self.random.shuffle(parts)
        return b"".join(parts[: self.one(1, 2)]) + self.one(b"", self.zip() if self.chance(0.3) else b"\0\0")

    def mutated(self, data):
        data = bytearray(data)
        for _ in range(self.one(0, 0, 0, 1, 1, 2, 4)):
            at = self.random.randrange(len(data) + 1)
            match self.random.randrange(4):
                case 0:
                    data[at:at + 1] = bytes([self.random.randrange(256)])
                case 1:
                    data[at:at] = self.one(b"\0", b"\n", b".", b"N", b"0", b"(", b"\x95" + bytes(8), b"\x80\x04")
                case 2:
                    del data[at:at + self.one(1, 2, 8)]
                case 3:
                    end = at + self.one(1, 8, 64, 512)
                    data[at:at] = data[at:end]
        return bytes(data)


KINDS = ["legacy", "tar", "zip", "npy", "npz", "safetensors", "bare"]


def draw(seed):
    drawn = Draw(seed)
    kind = drawn.one(*KINDS)
    return kind, drawn.mutated(getattr(drawn, kind)())
